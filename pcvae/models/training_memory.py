"""How much memory training takes, estimated from the shapes of a model.

A step has its peak where its gradient begins, or else where the gradients are applied:

    peak = process + state + R max(N A, 2 W)

The process comes first. The state is the weights, their average and two slots of the optimizer. N
images are in work at once, and the gradient needs A of each. W are the gradients of the weights;
the update makes as much again beside them. R is what the allocator takes for what is asked of it.

A has of each level what its gradient keeps: what each block says (``kept_channels``; of a
bottleneck what enters it, and three times what enters its inner convolutions), and what is made of
the latents; of a level that is computed anew, what enters it alone. To this comes what is in work
where the gradient begins: that of the likelihood or of the largest level, and one level that is
computed anew.

``python benchmarks/memory.py`` prints the estimate beside what is measured.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from pcvae.layers.encoder import Encoder
from pcvae.layers.top_down import TopDown
from pcvae.layers.top_down_pass import TopDownPass
from pcvae.models.base import HierarchicalModel

# Measured on CPUs, with TensorFlow 2.21.
PROCESS_BYTES = 1_000_000_000  # with TensorFlow, and a step as a graph
TAKEN_FOR_ASKED = 1.25
# Tensors of the shape of a latent that the gradient keeps of its level: noise, means, deviations.
TENSORS_OF_A_LATENT = 12
# What a likelihood and its gradient have at once, in numbers for each parameter of the head.
NUMBERS_OF_A_PARAMETER = 6
FLOAT32_BYTES = 4


class TrainingMemory(NamedTuple):
    """The memory of training in bytes."""

    process: int
    state: int  # weights, their average, slots
    step: int  # what a step takes besides

    @property
    def peak(self) -> int:
        """All of it."""
        return sum(self)


def training_memory(
    model: HierarchicalModel, images: int, replicas: int = 1
) -> TrainingMemory | None:
    """Estimates the memory of training a model on a CPU.

    Args:
        model: the model.
        images: how many each replica has in work at once: those of a part of its batch, where
            there are ``micro_batches``.
        replicas: their number in this process.

    Returns:
        A `TrainingMemory`; None for a model that is not made of blocks in stacks.
    """
    stages = getattr(model, "stages", [model])
    if any(stage.architecture is None for stage in stages):
        return None
    in_gradient = stages[getattr(model, "num_frozen_stages", 0) :]
    needed = sum(images * _bytes_of_an_image(s) + _bytes_of_casts(s) for s in in_gradient)
    gradients = _bytes(model.trained_weights.values())
    state = 4 * gradients + _bytes(model.frozen_weights.values())
    step = TAKEN_FOR_ASKED * max(needed, 2 * gradients)
    return TrainingMemory(PROCESS_BYTES, replicas * state, round(replicas * step))


class _Level(NamedTuple):
    """The bytes of a level, or of a block of an encoder, for one image."""

    entering: int  # in float32 in any precision
    kept: int  # by its gradient
    is_computed_anew: bool


def _bytes_of_an_image(model):
    """Returns A."""
    levels = list(_levels(model))
    kept = sum(level.entering if level.is_computed_anew else level.kept for level in levels)
    anew = max((level.kept for level in levels if level.is_computed_anew), default=0)
    parameters = model.image_shape[0] ** 2 * model.head.num_params
    likelihood = NUMBERS_OF_A_PARAMETER * FLOAT32_BYTES * parameters
    return kept + anew + max(likelihood, *(level.kept for level in levels))


def _levels(model) -> Iterator[_Level]:
    for layer in model.layers:
        if not isinstance(layer, Encoder | TopDownPass):
            continue
        number_bytes = _number_bytes(layer)
        latents = TENSORS_OF_A_LATENT * layer.latent_width if isinstance(layer, TopDown) else 0
        for group, stack in zip(layer.groups, layer.stacks, strict=True):
            parts = stack.template()._flatten_layers()
            channels = sum(getattr(part, "kept_channels", 0) for part in parts)
            pixels = group.resolution**2
            level = _Level(
                pixels * FLOAT32_BYTES * layer.width_at(group.resolution),
                pixels * (number_bytes * channels + FLOAT32_BYTES * latents),
                stack.recompute,
            )
            yield from [level] * stack.count


def _number_bytes(layer):
    """Returns the bytes of a number that a layer computes with."""
    return tf.as_dtype(layer.dtype_policy.compute_dtype).size


def _bytes_of_casts(model):
    """Returns what the weights take once more, where the layers compute in lower precision."""
    number_bytes = _number_bytes(model)
    return number_bytes * model.count_params() if number_bytes < FLOAT32_BYTES else 0


def _bytes(weights: Iterable[Any]):
    return sum(math.prod(weight.shape) * tf.as_dtype(weight.dtype).size for weight in weights)
