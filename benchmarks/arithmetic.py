"""The arithmetic of a training step, counted from the layer strings of a VDVAE."""

from collections.abc import Mapping
from typing import Any

from pcvae.distributions.logistic_mixture import num_params
from pcvae.layers.encoder import inner_kernel_size
from pcvae.layers.levels import parse_decoder_blocks, parse_encoder_blocks

LATENT_WIDTH, NUM_MIXTURES, CHANNELS = 16, 10, 3
# The forward pass, the gradient of what enters each convolution, and that of its kernel.
PASSES = 3


def multiply_adds(work: Mapping[str, Any]) -> int:
    """Returns the multiply-adds of the convolutions of one image's way through a VDVAE.

    Gelus, Gaussians and the likelihood are left out: they take time, and few of the operations.

    Args:
        work: ``encoder`` and ``decoder``, the layer strings, and ``width``. Bottlenecks are a
            quarter of it, as published.
    """
    width, encoder = work["width"], parse_encoder_blocks(work["encoder"])
    side = encoder[0].resolution
    total = side**2 * width * (9 * CHANNELS + num_params(CHANNELS, NUM_MIXTURES))
    for group in encoder:
        total += group.num_blocks * _block(group.resolution, width, width, width)
    for group in parse_decoder_blocks(work["decoder"]):
        at = group.resolution
        level = _block(at, width, width, 2 * LATENT_WIDTH + width)  # the prior
        level += _block(at, 2 * width, width, 2 * LATENT_WIDTH)  # the posterior
        level += at**2 * LATENT_WIDTH * width + _block(at, width, width, width)
        total += group.num_levels * level
    return total


def training_flop(work: Mapping[str, Any]) -> int:
    """Returns the floating point operations of a training step for each of its images."""
    return 2 * PASSES * multiply_adds(work)


def _block(resolution, in_width, width, out_width):
    """Counts a block: 1x1, kxk, kxk and 1x1 around a bottleneck."""
    middle, kernel = width // 4, inner_kernel_size(resolution) ** 2
    return resolution**2 * middle * (in_width + 2 * kernel * middle + out_width)
