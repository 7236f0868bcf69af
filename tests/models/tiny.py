"""Models of two stacks each, for tests of what is made of several models."""

import numpy as np
import tensorflow as tf

from pcvae.models import VDVAE, ConditionalVDVAE, condition_of_next_stage

IMAGE_SHAPE = (4, 4, 3)
ARGUMENTS = {
    "image_shape": IMAGE_SHAPE,
    "encoder_blocks": "4d4,1x1",
    "decoder_blocks": "1x1,4m1",
    "width": 8,
    "latent_width": 2,
    "num_mixtures": 2,
}
# At twice the side, for what lives in run directories.
LARGER_ARGUMENTS = {
    "image_shape": (8, 8, 3),
    "encoder_blocks": "8d8,1x1",
    "decoder_blocks": "1x1,8m1,8x1",
    "width": 8,
    "latent_width": 2,
    "num_mixtures": 1,
}
# For models with an unshared prefix: the levels after it see a block of their own resolution.
ENCODER_WITH_A_FINE_BLOCK = "4x1,4d4,1x1"


def random_weights(model, scale=0.3, seed=0):
    """Gives every weight a random value, so that nothing is zero by its initial value."""
    for index, weight in enumerate(model.weights):
        value = scale * tf.random.stateless_normal(weight.shape, seed=(index, seed))
        # A moving variance is not negative.
        weight.assign(value if weight.trainable else tf.abs(value))
    return model


def random_images(count=5, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *IMAGE_SHAPE), dtype=np.uint8)


def vdvae(**changes):
    return random_weights(VDVAE(**{**ARGUMENTS, **changes}))


def first_stage(**changes):
    """A model of least rate or least distortion: linear head, latents on the first level alone."""
    return vdvae(head="linear", num_latent_levels=1, name="first_stage", **changes)


def conditional(**changes):
    return random_weights(ConditionalVDVAE(**{**ARGUMENTS, **changes}), seed=1)


def next_stage(stages, see="reconstruction", **changes):
    return conditional(**condition_of_next_stage(stages, see), **changes)
