"""How the stages of a `StagedVAE` follow each other: noise, conditions, what fits together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pcvae.distributions.noise import GivenNoise, SeededNoise, fold_in
from pcvae.errors import UserError
from pcvae.models.base import HierarchicalModel
from pcvae.models.conditions import FEATURES, IMAGE
from pcvae.models.inputs import checked_temperatures
from pcvae.outputs import Trace

RECONSTRUCTION = "reconstruction"
SEEN = (RECONSTRUCTION, FEATURES)
# The noise of a later stage: beyond the sites of levels and steps.
STAGE_SITE = 2**29


def noise_of_stage(noise: Any, index: int, levels: slice) -> Any:
    """Returns the noise of a stage.

    That of the first is the given one, those of the others are apart from it.

    Args:
        noise: a `SeededNoise` or `GivenNoise` of the whole; None where nothing is drawn.
        index: number of the stage.
        levels: those of the stage.
    """
    if isinstance(noise, GivenNoise):
        return GivenNoise(noise.arrays[levels])
    if index == 0 or noise is None:
        return noise
    return SeededNoise(fold_in(noise.seed, STAGE_SITE + index), noise.first_example)


def condition_of_next_stage(
    stages: Sequence[HierarchicalModel], later_stages_see: str
) -> dict[str, Any]:
    """Returns the arguments of a `ConditionalVDVAE` that is to follow some stages.

    Args:
        stages: the models before it.
        later_stages_see: see `StagedVAE`.

    Returns:
        A dict with ``condition`` and ``condition_shape``.
    """
    if later_stages_see not in SEEN:
        raise UserError(
            f"later_stages_see: expected one of {', '.join(SEEN)}, got {later_stages_see!r}"
        )
    height, width, channels = stages[-1].image_shape
    if later_stages_see == RECONSTRUCTION:
        return {"condition": IMAGE, "condition_shape": (height, width, channels)}
    channels = sum(shape[-1] for stage in stages for shape in stage.latent_shapes)
    return {"condition": FEATURES, "condition_shape": (height, width, channels)}


def check_stages(stages: Sequence[HierarchicalModel], later_stages_see: str) -> None:
    """Raises UserError unless the stages fit together."""
    if not stages or stages[0].condition is not None:
        raise UserError("stages: expected an unconditional first stage")
    for index in range(1, len(stages)):
        stage, before = stages[index], stages[:index]
        if stage.image_shape != before[-1].image_shape:
            raise UserError(
                f"stage {index + 1} models images of shape {stage.image_shape}, the stage before "
                f"it images of {before[-1].image_shape}: train both on images of one size"
            )
        wanted = condition_of_next_stage(before, later_stages_see)
        got = stage.condition
        if got is None or (got.kind, got.shape) != (*wanted.values(),):
            raise UserError(
                f"stage {index + 1}: expected a ConditionalVDVAE with {wanted}, got "
                + ("an unconditional model" if got is None else f"{got.kind} of {got.shape}")
            )


def temperatures_of_stages(model: Any, temperatures: Sequence[float]) -> list[float]:
    """Returns one temperature per level from one per stage.

    Args:
        model: a `StagedVAE`, or an export of one.
        temperatures: a number >= 0 for each stage.

    Raises:
        UserError: the model has one stage, or not as many as there are temperatures.
    """
    ends = model.stage_ends
    if len(ends) == 1:
        raise UserError("stage_temperatures: this model has one stage: give temperature instead")
    per_stage = checked_temperatures(list(temperatures), len(ends), "stage")
    return np.repeat(per_stage, np.diff((0, *ends))).tolist()


def without_gradient(trace: Trace, image: tf.Tensor) -> tuple[Trace, tf.Tensor]:
    """Returns the trace and the image of a frozen stage, through which no gradient goes."""
    held = trace._replace(
        latents=tuple(map(tf.stop_gradient, trace.latents)),
        rate_per_level=tf.stop_gradient(trace.rate_per_level),
    )
    return held, tf.stop_gradient(image)


def within_bounds(reconstruction: tf.Tensor) -> tf.Tensor:
    """Returns a reconstruction whose gradient ends where the head has clipped it to [-1, 1].

    The head lets the gradient of a squared error pass its clipping, which draws a pixel back. That
    of a later stage has no such pull: it would drive a clipped pixel further out without end, and
    training end to end diverges.
    """
    inside = tf.abs(reconstruction) < 1.0
    return tf.where(inside, reconstruction, tf.stop_gradient(reconstruction))
