"""The cell of the NVAE (Vahdat and Kautz 2020, arXiv 2007.03898, figures 2 and 3)."""

import keras
import tensorflow as tf

from pcvae.distributions.gaussian import DiagonalGaussian
from pcvae.layers.cells.cell import Site
from pcvae.layers.cells.posteriors import ABSOLUTE, RESIDUAL
from pcvae.layers.cells.vdvae import VDVAECell
from pcvae.layers.nvae_blocks import NVAEDecoderBlock
from pcvae.layers.residual import convolution

# Side of the depthwise kernels, as published.
DEPTHWISE_SIZE = 5


@keras.saving.register_keras_serializable(package="pcvae")
class NVAECell(VDVAECell):
    """A level whose features go through an `NVAEDecoderBlock`, and whose posterior is residual.

    The prior is a 1x1 convolution of the features, which it leaves as they are; the network of the
    posterior is a convolution of features and activations, read as a shift and a scale of the
    prior. The latent enters by a 1x1 convolution, then the block follows.

    Arguments are those of `VDVAECell`; there is no bottleneck.
    """

    posteriors = (RESIDUAL, ABSOLUTE)

    def make_posterior_block(self) -> keras.layers.Layer:
        """See `VDVAECell`."""
        filters, in_width = 2 * self.latent_width, 2 * self.width
        return convolution(filters, self.kernel_size, in_width, self.dtype_policy, "posterior")

    def make_prior_block(self) -> keras.layers.Layer:
        """Returns the convolution of the prior's parameters; the prior starts as N(0, 1)."""
        filters = 2 * self.latent_width
        return convolution(filters, 1, self.width, self.dtype_policy, "prior", "zeros")

    def make_residual_block(self) -> keras.layers.Layer:
        """See `VDVAECell`."""
        size = DEPTHWISE_SIZE if self.kernel_size > 1 else 1
        block = NVAEDecoderBlock(self.width, size, dtype=self.dtype_policy, name="residual")
        block.build()
        return block

    def prior(self, h: tf.Tensor, site: Site) -> tuple[DiagonalGaussian, tf.Tensor]:
        """Returns p(z_i | z_<i) and the features."""
        mean, log_std = tf.split(self.prior_block(h), 2, axis=-1)
        return DiagonalGaussian(mean, log_std), h
