"""Distortions between images and reconstructions."""

import tensorflow as tf

from pcvae import units
from pcvae.errors import UserError
from pcvae.outputs import VDVAEOutput


def mse(images: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
    """Mean squared error on [-1, 1].

    Args:
        images: uint8 [batch, height, width, channels].
        reconstruction: float32 of the same shape, in [-1, 1].

    Returns:
        float32 [batch], the mean over dimensions.
    """
    signed = units.signed_from_levels(images, bit_depth=8)
    return units.mean_per_example(tf.math.squared_difference(signed, reconstruction))


def own_distortion(objective: object, output: VDVAEOutput, images: tf.Tensor) -> tf.Tensor:
    """Returns `mse` of the model's own path, for an objective that trains no other decoder.

    Raises:
        UserError: the model has decoders of prefixes, which would never be trained.
    """
    if output.prefix_reconstructions:
        inner = ", ".join(map(str, output.prefix_reconstructions))
        raise UserError(
            f"{type(objective).__name__} does not train the model's prefix_decoders (K = {inner}): "
            "leave them out, or take ProgressiveCoding"
        )
    return mse(images, output.reconstruction)


def check_learned_rates(objective: object, output: VDVAEOutput) -> None:
    """Raises UserError if the rates of a model follow from a noise schedule: nothing moves them."""
    if output.drawn_level is not None:
        raise UserError(
            f"{type(objective).__name__} needs a model whose posterior is learned; the rates of a "
            "diffusion model follow from its noise schedule: take Denoising or NegativeELBO"
        )
