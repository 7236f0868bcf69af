"""Heads of an independent Gaussian for each channel of a pixel."""

import math

import keras
import tensorflow as tf

from pcvae import units
from pcvae.distributions.discretized_gaussian import DiscretizedGaussian
from pcvae.distributions.gaussian import DiagonalGaussian, rate_nats
from pcvae.layers.head import VALUE_SITE, Head

MIN_LOG_STD = -7.0


@keras.saving.register_keras_serializable(package="pcvae")
class GaussianHead(Head):
    """An independent Gaussian for each channel of a pixel, discretised to the levels.

    The parameters are C means and C log standard deviations. The latter pass through
    ``softplus(x + 7) - 7``, which is x but for a soft floor at -7.
    """

    has_mean_params = True

    @property
    def num_params(self) -> int:
        """How many parameters a pixel has."""
        return 2 * self.channels

    def _distribution(self, params):
        mean, log_std = tf.split(tf.cast(params, tf.float32), 2, axis=-1)
        log_std = tf.nn.softplus(log_std - MIN_LOG_STD) + MIN_LOG_STD
        return DiscretizedGaussian(mean, log_std, self.bit_depth)

    def _sample_levels(self, params, noise):
        uniform = self._uniform(params, noise, VALUE_SITE, self.channels)
        return self._distribution(params).sample_from_uniforms(uniform)


@keras.saving.register_keras_serializable(package="pcvae")
class GaussianFloorHead(GaussianHead):
    """A `GaussianHead` to which detail below a floor is worth nothing (Luhman and Luhman 2022).

    Training minimises KL(N(x, floor^2) || N(mean, std^2)) of each value, on the scale of [-1, 1]:
    where mean and x differ by less than the floor, nearly all is won, so that the latents spend no
    bits on what nobody sees. Samples are the mean. The likelihood that evaluations report is that
    of the `GaussianHead`, comparable with the other heads (ours; the paper reports none).
    """

    has_surrogate = True
    FLOOR_STD = 0.025  # published

    def surrogate_nats(self, params: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Returns KL(N(x, floor^2) || N(mean, std^2)), summed over pixels and channels.

        Args:
            params: [batch, height, width, num_params].
            images: uint8 [batch, height, width, channels].

        Returns:
            float32 [batch] nats; 0 where the mean is the image and the std is the floor.
        """
        signed = units.signed_from_images(images, self.bit_depth)
        wanted = DiagonalGaussian(signed, tf.fill(tf.shape(signed), math.log(self.FLOOR_STD)))
        own = self._distribution(params)
        return rate_nats(wanted, DiagonalGaussian(own.loc, own.log_std))

    def _sample_levels(self, params, noise):
        return units.levels_from_signed(self._distribution(params).loc, self.bit_depth)
