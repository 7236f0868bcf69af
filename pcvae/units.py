"""Units: nats, bits and dimensions; pixel values and their places in [-1, 1].

Every conversion of a unit stands here and nowhere else. ``D`` is the number of dimensions of an
image, height * width * channels. Images are uint8 in [0, 255] at the border of a model; inside, a
model of bit depth ``b`` sees the ``2^b`` levels {0, ..., 2^b - 1}, placed evenly in [-1, 1].
"""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

HALF_RANGE = 127.5  # of uint8: the pixel value x lies at x / 127.5 - 1 in [-1, 1]


def nats_to_bits(nats: Any) -> Any:
    """Converts nats to bits."""
    return nats / math.log(2.0)


def bits_to_nats(bits: Any) -> Any:
    """Converts bits to nats."""
    return bits * math.log(2.0)


def num_dims(image_shape: Sequence[int] | tf.TensorShape) -> int:
    """Returns D, the number of dimensions of an image of shape (height, width, channels)."""
    return math.prod(image_shape)


def nats_per_dim(nats: Any, image_shape: Sequence[int] | tf.TensorShape) -> Any:
    """Converts nats per image to nats per dimension."""
    return nats / num_dims(image_shape)


def bits_per_dim(nats: Any, image_shape: Sequence[int] | tf.TensorShape) -> Any:
    """Converts nats per image to bits per dimension."""
    return nats_to_bits(nats_per_dim(nats, image_shape))


def sum_per_example(values: tf.Tensor) -> tf.Tensor:
    """Sums over every axis but the first: [batch, ...] -> [batch]."""
    return tf.reduce_sum(values, axis=list(range(1, values.shape.rank)))


def mean_per_example(values: tf.Tensor) -> tf.Tensor:
    """Averages over every axis but the first: [batch, ...] -> [batch]."""
    return tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))


def psnr_db(mse: Any) -> tf.Tensor:
    """Converts a mean squared error on [-1, 1] (peak to peak 2) to a PSNR in decibels."""
    return 10.0 * tf.math.log(4.0 / mse) / math.log(10.0)


def mse_from_psnr_db(psnr_db: Any) -> Any:
    """Converts a PSNR in decibels to a mean squared error on [-1, 1]."""
    return 4.0 / 10.0 ** (psnr_db / 10.0)


def max_level(bit_depth: int) -> int:
    """Returns the largest pixel level of a bit depth, 2^b - 1."""
    return 2**bit_depth - 1


def levels_from_images(images: tf.Tensor, bit_depth: int) -> tf.Tensor:
    """Keeps the top bits of uint8 images: uint8 [...] -> int32 [...] in [0, 2^b - 1]."""
    return tf.bitwise.right_shift(tf.cast(images, tf.int32), 8 - bit_depth)


def images_from_levels(levels: tf.Tensor, bit_depth: int) -> tf.Tensor:
    """Spreads pixel levels over uint8: [...] in [0, 2^b - 1] -> uint8 [...] in [0, 255].

    The top ``b`` bits of the result are the level again, so that quantising twice changes nothing.
    """
    scaled = tf.cast(levels, tf.float32) * (255.0 / max_level(bit_depth))
    return tf.cast(tf.floor(scaled + 0.5), tf.uint8)


def images_from_signed(signed: tf.Tensor, bit_depth: int = 8) -> tf.Tensor:
    """Rounds pixels on [-1, 1] to the nearest level, as uint8 images: [...] -> uint8 [...]."""
    return images_from_levels(levels_from_signed(signed, bit_depth), bit_depth)


def signed_from_levels(levels: tf.Tensor, bit_depth: int) -> tf.Tensor:
    """Places pixel levels in [-1, 1]: [...] in [0, 2^b - 1] -> float32 [...]."""
    return tf.cast(levels, tf.float32) * (2.0 / max_level(bit_depth)) - 1.0


def signed_from_images(images: tf.Tensor, bit_depth: int) -> tf.Tensor:
    """Places the top bits of uint8 images in [-1, 1]: uint8 [...] -> float32 [...]."""
    return signed_from_levels(levels_from_images(images, bit_depth), bit_depth)


def levels_from_signed(signed: tf.Tensor, bit_depth: int) -> tf.Tensor:
    """Rounds places in [-1, 1] to pixel levels, clipping what lies outside: -> int32 [...]."""
    top = max_level(bit_depth)
    levels = tf.floor((tf.cast(signed, tf.float32) + 1.0) * (top / 2.0) + 0.5)
    return tf.cast(tf.clip_by_value(levels, 0.0, float(top)), tf.int32)
