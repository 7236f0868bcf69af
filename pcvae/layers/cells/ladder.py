"""The cell of the ladder VAE (Sonderby et al. 2016, arXiv 1602.02282): two Gaussians multiplied."""

import keras
import tensorflow as tf

from pcvae.distributions.gaussian import DiagonalGaussian
from pcvae.layers.cells.cell import Site
from pcvae.layers.cells.posteriors import ABSOLUTE
from pcvae.layers.cells.vdvae import VDVAECell
from pcvae.layers.residual import BottleneckBlock


@keras.saving.register_keras_serializable(package="pcvae")
class LadderCell(VDVAECell):
    """A level whose posterior is the prior times what the image says of the latent.

    The bottom-up activations alone give a Gaussian N(mu^, var^) of the latent, an approximate
    likelihood. With the prior N(mu_p, var_p) the posterior is their normalised product (section
    2.2 of the paper):

        var_q = 1 / (1 / var^ + 1 / var_p),    mu_q = var_q (mu^ / var^ + mu_p / var_p).

    Where the image says nothing, var^ -> inf, the posterior is the prior and the rate is zero. The
    convolutional form, with the blocks of a `VDVAECell`, is ours; so is leaving out the paper's
    batch normalisation, in whose place residual branches start scaled down.

    Arguments are those of `VDVAECell`.
    """

    # The product is relative to the prior already.
    posteriors = (ABSOLUTE,)

    def make_posterior_block(self) -> BottleneckBlock:
        """Returns the block of (mu^, log std^), which sees the activations alone."""
        return self.block("posterior", self.width, 2 * self.latent_width)

    def posterior(
        self, h: tf.Tensor, prior: DiagonalGaussian, evidence: tf.Tensor, site: Site
    ) -> DiagonalGaussian:
        """Returns q(z_i | x, z_<i), the product of the prior and the Gaussian of the evidence.

        Args:
            h: not used: z_<i enter by the prior.
            prior: p(z_i | z_<i).
            evidence: [batch, side, side, width], the encoder's activations.
            site: not used.
        """
        mean, log_std = tf.split(self.posterior_block(evidence), 2, axis=-1)
        return product(DiagonalGaussian(mean, log_std), prior)


def product(one: DiagonalGaussian, other: DiagonalGaussian) -> DiagonalGaussian:
    """Returns the normalised product of the densities of two diagonal Gaussians.

    The weight of a mean is its share of the summed precisions, a sigmoid of the difference of
    their logarithms: no precision is ever formed, which could be infinite.

    Args:
        one: of shape [...].
        other: of the same shape.
    """
    log_ratio = 2.0 * (other.log_std - one.log_std)  # of the precision of one to that of other
    mean = other.loc + tf.sigmoid(log_ratio) * (one.loc - other.loc)
    return DiagonalGaussian(mean, other.log_std - 0.5 * tf.nn.softplus(log_ratio))
