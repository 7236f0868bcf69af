"""Counter-based noise: what an example draws depends on its index, not on its batch or replica.

The draw of example ``i`` at a site is a pure function of (seed, site, i). So a batch split over
replicas, a ragged last batch, or sampling 3 images and then 5 instead of 8 give the same noise (a
normal number up to the rounding of its last digit).
The generator is Philox (Salmon et al. 2011): one block of its counter gives four numbers, and each
example owns a range of blocks. Only its integers are used: they are the same under XLA, whereas
TensorFlow's own uniform and normal numbers are not (XLA pairs numbers of different examples for a
normal, so there they would depend on the batch).
"""

import math
from typing import Any, NamedTuple

import tensorflow as tf

from pcvae.checks import check_seed

NUMBERS_PER_BLOCK = 4
UNIFORM_STEP = 2.0**-23

# The upper word of the counter tells apart the two uses of a seed.
DRAW_COUNTER = 0
FOLD_COUNTER = 1


def make_seed(seed: int | tf.Tensor) -> tf.Tensor:
    """Returns a seed as the int32 [2] that stateless random functions take.

    Args:
        seed: an integer of Python or NumPy from 0 to 2^32 - 1, or an int32 tensor of shape [2].

    Raises:
        UserError: another number, or no number.
    """
    if tf.is_tensor(seed):
        return tf.ensure_shape(tf.cast(seed, tf.int32), [2])
    return tf.bitcast(tf.constant([check_seed(seed), 0], tf.uint32), tf.int32)


def fold_in(seed: tf.Tensor, data: int | tf.Tensor) -> tf.Tensor:
    """Returns a new seed, int32 [2], that depends on a seed [2] and an integer."""
    bits = _philox(seed, counter=[data, FOLD_COUNTER], shape=[2])
    return tf.bitcast(bits, tf.int32)


def _philox(seed, counter, shape):
    """Returns uint32 numbers of a shape, from a place of the counter on (two 64-bit words).

    The seed is the key itself: TensorFlow's own way from seeds to keys differs under XLA.
    """
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=shape,
        key=tf.reshape(tf.bitcast(seed, tf.uint64), [1]),
        counter=tf.stack([tf.cast(word, tf.uint64) for word in counter]),
        alg=1,  # Philox
        dtype=tf.uint32,
    )


class SeededNoise(NamedTuple):
    """Noise for a batch of consecutive examples.

    ``site`` tells apart the places that draw noise: the index of a level, or a name's number.
    """

    seed: tf.Tensor  # [2] int32
    first_example: tf.Tensor  # [] int64, index of the first example of the batch in the whole

    def normal(self, site: int | tf.Tensor, shape: Any) -> tf.Tensor:
        """Draws standard normal noise, float32, of shape [batch, ...] (Box and Muller 1958)."""
        bits = tf.cast(self._bits(site, shape), tf.float32)
        # Half a step keeps the logarithm finite; the largest radius is 6.8.
        radius = tf.sqrt(-2.0 * tf.math.log((bits[..., :2] + 0.5) * 2.0**-32))
        angle = bits[..., 2:] * (2.0 * math.pi * 2.0**-32)
        numbers = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=-1)
        return _first_numbers(numbers, shape)

    def uniform(self, site: int | tf.Tensor, shape: Any) -> tf.Tensor:
        """Draws uniform noise in [0, 1), float32 multiples of 2^-23, of shape [batch, ...]."""
        bits = tf.bitwise.right_shift(self._bits(site, shape), tf.constant(9, tf.uint32))
        return _first_numbers(tf.cast(bits, tf.float32) * UNIFORM_STEP, shape)

    def _bits(self, site, shape):
        """Draws whole blocks, uint32 [batch, blocks, 4], enough for each example of ``shape``."""
        batch, *example_shape = shape
        blocks = -(-math.prod(example_shape) // NUMBERS_PER_BLOCK)
        offset = tf.cast(self.first_example, tf.uint64) * tf.constant(blocks, tf.uint64)
        seed = fold_in(self.seed, site)
        return _philox(seed, [offset, DRAW_COUNTER], [batch, blocks, NUMBERS_PER_BLOCK])


def _first_numbers(numbers, shape):
    """Cuts whole blocks [batch, blocks, 4] to ``shape``, [batch, ...]."""
    example_shape = shape[1:]
    count, drawn = math.prod(example_shape), numbers.shape[1] * NUMBERS_PER_BLOCK
    if count < drawn:
        numbers = tf.reshape(numbers, [-1, drawn])[:, :count]
    return tf.reshape(numbers, [-1, *example_shape])


class GivenNoise(NamedTuple):
    """Noise that was drawn elsewhere: one array [batch, ...] for each site."""

    arrays: tuple

    def normal(self, site: int | tf.Tensor, shape: Any) -> tf.Tensor:
        """Returns the noise of a site; ``site`` may be a tensor, as inside a loop."""
        example_shape = tuple(shape[1:])
        fitting = [i for i, array in enumerate(self.arrays) if array.shape[1:] == example_shape]
        stacked = tf.stack([tf.cast(self.arrays[i], tf.float32) for i in fitting])
        position = tf.argmax(tf.equal(fitting, tf.cast(site, tf.int32)))
        return tf.gather(stacked, position)


Noise = SeededNoise | GivenNoise


def seeded_noise(seed: int | tf.Tensor, first_example: int | tf.Tensor = 0) -> SeededNoise:
    """Returns the noise of a batch; for ``seed`` see `make_seed`."""
    return SeededNoise(make_seed(seed), tf.cast(first_example, tf.int64))


def open_interval(uniform: tf.Tensor) -> tf.Tensor:
    """Moves uniform noise from [0, 1) to the middle of its steps, so that it is never 0 or 1.

    Quantile functions are infinite at 0 and 1. What comes in at 1 is kept below 1 as well.
    """
    half_step = 0.5 * UNIFORM_STEP
    return tf.clip_by_value(uniform + half_step, half_step, 1.0 - half_step)
