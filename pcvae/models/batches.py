"""The one place where a model's graphs are compiled and run over batches of arrays."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pcvae.checks import check_integer
from pcvae.distributions.noise import SeededNoise, make_seed
from pcvae.errors import UserError
from pcvae.models.inputs import checked_images

COUNT = tf.TensorSpec((), tf.int32, name="count")
_SEED = tf.TensorSpec((2,), tf.int32, name="seed")
_FIRST = tf.TensorSpec((), tf.int64, name="first_example")


def in_batches(
    function: Callable,
    count: int,
    batch_size: int,
    if_none: Any = None,
    progress: Callable | None = None,
) -> Any:
    """Calls a function with the slice of each batch, and joins what it returns.

    Args:
        function: of a slice with start and stop; returns an array [batch, ...] or a structure.
        count: number of examples.
        batch_size: examples at once.
        if_none: what is returned for no examples.
        progress: may wrap the range of batches that is iterated over.

    Raises:
        UserError: the batch size is no integer above 0.
    """
    batch_size = check_integer("batch_size", batch_size, 1)
    if not count:
        return if_none
    starts = range(0, count, batch_size)
    starts = progress(starts) if progress else starts
    parts = [function(slice(start, min(start + batch_size, count))) for start in starts]
    return tf.nest.map_structure(lambda *values: np.concatenate(values), *parts)


def _with_noise(function, seed, first_example, *arguments):
    return function(SeededNoise(seed, first_example), *arguments)


class BatchRunner:
    """Compiles graphs of a model for batches of any size, each once, and runs them on arrays.

    A graph is a function (noise, arrays of the batch ..., what all share ..., condition if the
    model has one).

    Args:
        model: a `HierarchicalModel`.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._graphs: dict[str, Callable] = {}

    @property
    def images(self) -> tf.TensorSpec:
        """A batch of images."""
        return tf.TensorSpec((None, *self._model.image_shape), tf.uint8, name="images")

    @property
    def latents(self) -> tuple[tf.TensorSpec, ...]:
        """A batch of all latents."""
        return tuple(tf.TensorSpec((None, *shape)) for shape in self._model.latent_shapes)

    def per_level(self, dtype: tf.DType = tf.float32) -> tf.TensorSpec:
        """One number for each level."""
        return tf.TensorSpec((self._model.num_levels,), dtype)

    def graph(self, name: str, function: Callable, *specs: Any) -> Callable:
        """Returns the compiled graph of a name.

        Args:
            name: under which it is kept.
            function: see the class; traced at most once.
            specs: of its arguments after the noise and before the condition.

        Returns:
            A function (seed, first example, *arguments).
        """
        if name not in self._graphs:
            condition = self._model.condition
            given = () if condition is None else (condition.spec,)
            signature = (_SEED, _FIRST, *specs, *given)
            # A partial: functions of one code would seem to TensorFlow to trace too often.
            run = functools.partial(_with_noise, function)
            self._graphs[name] = tf.function(run, input_signature=signature, autograph=False)
        return self._graphs[name]

    def on_images(
        self,
        graph: Callable,
        images: Any,
        batch_size: int,
        seed: Any,
        condition: Any,
        *shared: Any,
        latents: Sequence[np.ndarray] | None = None,
    ) -> Any:
        """Runs a graph on images, with their latents if they are given; joins the batches."""
        images, seed = checked_images(images, self._model.image_shape), make_seed(seed)
        if condition is None:
            condition = self._model.natural_condition(images)
        given = self.conditions(condition, len(images))

        def run(here):
            own = () if latents is None else (tuple(z[here] for z in latents),)
            conditions = (array[here] for array in given)
            return graph(seed, here.start, images[here], *own, *shared, *conditions)

        return in_batches(run, len(images), batch_size)

    def on_latents(
        self,
        graph: Callable,
        latents: Sequence[np.ndarray],
        batch_size: int,
        condition: Any,
        seed: Any = 0,
        *shared: Any,
    ) -> Any:
        """Runs a graph on latents; joins the batches."""
        seed, given = make_seed(seed), self.conditions(condition, len(latents[0]))

        def run(here):
            own = tuple(z[here] for z in latents)
            return graph(seed, here.start, own, *shared, *(array[here] for array in given))

        return in_batches(run, len(latents[0]), batch_size)

    def conditions(self, condition: Any, count: int) -> tuple[np.ndarray, ...]:
        """Returns (conditions,) of a conditional model, checked; () of another.

        Raises:
            UserError: there are none, too few, or they are of another kind.
        """
        own = self._model.condition
        if own is None:
            self._model.read_condition(condition)  # which takes None alone
            return ()
        if condition is None:
            raise UserError(f"condition: expected {own.in_words}, got none")
        return (own.checked_batch(condition, count),)
