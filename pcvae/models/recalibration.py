"""Moving statistics for samples: those of a batch normalisation fit the latents of training.

Samples at a low temperature have other statistics than the images of training, so that a model that
normalises by moving ones draws them worse. Vahdat and Kautz (2020, arXiv 2007.03898, section 4)
measure them anew from samples.
"""

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from pcvae.checks import check_integer
from pcvae.distributions.noise import make_seed
from pcvae.errors import UserError
from pcvae.layers import plan as plans
from pcvae.models.batches import COUNT
from pcvae.variables import without_assigning

if TYPE_CHECKING:
    from pcvae.models.base import HierarchicalModel

Model = TypeVar("Model", bound="HierarchicalModel")
_START = tf.TensorSpec((), tf.float32, name="start")
# Of a moving average this much, or less, is new with a batch: no batch has come to it.
_UNMOVED = 1e-5


def recalibrated(
    model: Model,
    temperature: float | Sequence[float] | np.ndarray = 1.0,
    num_batches: int = 500,
    seed: Any = 0,
    batch_size: int = 16,
    condition: Any = None,
    progress: Callable | None = None,
) -> Model:
    """Returns a copy whose moving statistics are the means over batches of samples.

    It draws batches from the prior in training mode, where each layer normalises by its batch. What
    samples do not go through, such as an encoder, keeps its statistics, and so does what is frozen.

    Args:
        temperature: of the prior; one number or one per level, as for `sample`.
        num_batches: how many; 500 as published.
        seed: of the batches.
        batch_size: images in each, at best as many as in a batch of training.
        condition: of a conditional model, one or more: image i is given the i-th, from the start
            again after the last.
        progress: may wrap the range of batches that is iterated over.

    Raises:
        UserError: samples go through no moving statistics, or an argument is out of range.
    """
    num_batches = check_integer("num_batches", num_batches, 1)
    batch_size = check_integer("batch_size", batch_size, 1)
    temperature, seed = model.temperatures(temperature), make_seed(seed)
    given = model._runner.conditions(condition, 0 if condition is None else len(condition))
    statistics = model.statistics

    def averages(noise, count, temperature, start, condition=None):
        """Returns where moving averages that start from one number are after a batch."""
        plan = plans.Prior(temperature)

        def draw():
            return model.output(plan, noise, condition=condition, num_images=count)

        values = {name: tf.fill(weight.shape, start) for name, weight in statistics.items()}
        return without_assigning(statistics, lambda: in_training_mode(draw), values)[1]

    graph = model._runner.graph(
        "statistics of samples", averages, COUNT, model._runner.per_level(), _START
    )

    def after(batch, start):
        places = np.arange(batch * batch_size, (batch + 1) * batch_size)
        conditions = (array[places % len(array)] for array in given)
        values = graph(seed, places[0], batch_size, temperature, start, *conditions)
        return {name: np.float64(value) for name, value in values.items()}

    from_zeros, from_ones = after(0, 0.0), after(0, 1.0)
    # A moving average is s <- momentum s + (1 - momentum) b: its layer alone knows the momentum.
    shares = {name: 1.0 - np.mean(from_ones[name] - from_zeros[name]) for name in statistics}
    shares = {name: share for name, share in shares.items() if share > _UNMOVED}
    if not shares:
        raise UserError(
            f"recalibrated: samples of {model.name} go through no moving statistics, such as those "
            "of a batch normalisation: draw them without"
        )
    sums = {name: np.zeros(statistics[name].shape) for name in shares}
    batches = range(num_batches)
    for batch in progress(batches) if progress else batches:
        values = after(batch, 0.0)
        for name, share in shares.items():
            sums[name] += values[name] / share
    again = copy.deepcopy(model)
    for name, total in sums.items():
        again.named_weights[name].assign(total / num_batches)
    return again


class _Call(keras.layers.Layer):
    """Calls a function, so that Keras tells its layers whether this is training."""

    def __init__(self, function):
        super().__init__(autocast=False, name="in_training_mode")
        self._function = function

    def call(self, nothing):
        return self._function()


def in_training_mode(function: Callable) -> Any:
    """Returns what a function returns whose layers are called as in training.

    Args:
        function: without arguments.
    """
    return _Call(function)(tf.zeros([]), training=True)
