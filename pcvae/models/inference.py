"""What a model infers of images: rates, where they are, and features for models of other tasks.

Methods of every `HierarchicalModel`; their arguments are as in `models.arrays`.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from pcvae.layers.plan import Posterior
from pcvae.layers.walk import RATE_MAP

if TYPE_CHECKING:
    from pcvae.models.base import HierarchicalModel as Model


def rate_per_level(
    model: "Model", images: np.ndarray, seed: Any = 0, batch_size: int = 64, condition: Any = None
) -> np.ndarray:
    """Returns the rate of each level for each image: float32 [num_images, levels] nats."""

    def rates(noise, images, *condition):
        return model.trace(Posterior(), noise, images, *condition).rate_per_level

    graph = model._runner.graph("rate_per_level", rates, model._runner.images)
    return model._runner.on_images(graph, images, batch_size, seed, condition)


def rate_maps(
    model: "Model", images: np.ndarray, seed: Any = 0, batch_size: int = 64, condition: Any = None
) -> list[np.ndarray]:
    """Returns the rate of each level at each place of its latent.

    Returns:
        A list with one float32 [num_images, ...] for each level, coarsest first, in nats,
        summed over the last axis, the channels; the sum over places is `rate_per_level`.
    """

    def rate_maps(noise, images, *condition):
        trace = model.trace(Posterior(), noise, images, *condition, keep=(RATE_MAP,))
        return tuple(tf.reduce_sum(rates, axis=-1) for rates in trace.kept[RATE_MAP])

    graph = model._runner.graph("rate_maps", rate_maps, model._runner.images)
    return list(model._runner.on_images(graph, images, batch_size, seed, condition))


def features(
    model: "Model", images: np.ndarray, seed: Any = 0, batch_size: int = 64, condition: Any = None
) -> np.ndarray:
    """Returns what the head sees of images, with all latents drawn from their posterior.

    Pixels are scaled by the model itself.

    Returns:
        float32 [num_images, height, width, channels of the decoder].
    """

    def features(noise, images, *condition):
        return model.trace(Posterior(), noise, images, *condition).features

    graph = model._runner.graph("features", features, model._runner.images)
    return model._runner.on_images(graph, images, batch_size, seed, condition)
