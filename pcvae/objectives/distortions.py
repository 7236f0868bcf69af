"""Distortions between images and reconstructions."""

import tensorflow as tf

from pcvae import units


def mse(images, reconstruction):
    """Mean squared error on [-1, 1].

    Args:
        images: uint8 [batch, height, width, channels].
        reconstruction: float32 of the same shape, in [-1, 1].

    Returns:
        float32 [batch], the mean over dimensions.
    """
    signed = units.signed_from_levels(images, bit_depth=8)
    return units.mean_per_example(tf.math.squared_difference(signed, reconstruction))
