"""The cell of the VDVAE (Child 2020, figure 3): prior, posterior, and how a latent enters."""

from typing import Any

import keras
import tensorflow as tf

from pcvae.distributions.gaussian import DiagonalGaussian
from pcvae.layers.cells.cell import ConvolutionalLevel, Site
from pcvae.layers.residual import add_branch


@keras.saving.register_keras_serializable(package="pcvae")
class VDVAECell(ConvolutionalLevel):
    """A latent z_i with its prior p(z_i | z_<i) and posterior q(z_i | x, z_<i).

    The prior's network returns mean, log standard deviation and a residual; the posterior's sees
    the encoder's activations, too. The latent enters by a 1x1 convolution, then a residual block
    follows.

    Args:
        width: channels of features and activations; see `ConvolutionalLevel`, also for the rest.
        latent_width: channels of the latent.
        middle_width: channels of the blocks' bottleneck.
        **kwargs: the other arguments of `ConvolutionalLevel`, and those of a Keras layer.
    """

    def __init__(self, width: int, latent_width: int, middle_width: int, **kwargs: Any) -> None:
        super().__init__(width, middle_width, **kwargs)
        self.latent_width = latent_width

    def build(self, input_shape: Any = None) -> None:
        self.posterior_block = self.make_posterior_block()
        self.prior_block = self.make_prior_block()
        self.residual_block = self.make_residual_block()
        self.latent_projection = self.latent_entrance(self.latent_width)
        super().build(input_shape)

    def make_posterior_block(self) -> keras.layers.Layer:
        """Returns the block of the posterior's parameters, which sees features and activations."""
        return self.block("posterior", 2 * self.width, 2 * self.latent_width)

    def make_prior_block(self) -> keras.layers.Layer:
        """Returns the block of the prior's parameters and its residual."""
        out_width = 2 * self.latent_width + self.width
        return self.block("prior", self.width, out_width, last_scale=0.0)

    def make_residual_block(self) -> keras.layers.Layer:
        """Returns the block that the features go through after the latent has entered."""
        return self.residual("residual", last_scale=1.0 / self.num_levels)

    def prior(self, h: tf.Tensor, site: Site) -> tuple[DiagonalGaussian, tf.Tensor]:
        """Returns p(z_i | z_<i) and the features with the prior's residual added."""
        hidden = self.prior_block(h)
        sizes = [self.latent_width, self.latent_width, self.width]
        mean, log_std, residual = tf.split(hidden, sizes, axis=-1)
        return DiagonalGaussian(mean, log_std), add_branch(h, residual)

    def posterior(
        self, h: tf.Tensor, prior: DiagonalGaussian, evidence: tf.Tensor, site: Site
    ) -> DiagonalGaussian:
        """Returns q(z_i | x, z_<i).

        Args:
            h: [batch, side, side, width], before the prior's residual.
            prior: not used.
            evidence: [batch, side, side, width], the encoder's activations.
            site: not used.
        """
        hidden = self.posterior_block(tf.concat([h, evidence], axis=-1))
        mean, log_std = tf.split(hidden, 2, axis=-1)
        return DiagonalGaussian(mean, log_std)

    def absorb(self, h: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """Returns the features after the latent has entered."""
        return self.residual_block(add_branch(h, self.latent_projection(latent)))

    def get_config(self) -> dict:
        return {**super().get_config(), "latent_width": self.latent_width}
