"""The diagonal Gaussian of a latent, its analytic KL divergence and its temperature."""

import math

import tensorflow as tf
import tensorflow_probability as tfp

from pcvae import units

tfd = tfp.distributions

HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


class DiagonalGaussian(tfd.Distribution):
    """Independent normals, one for each element, given by mean and log standard deviation.

    The event is a scalar and the batch shape is the shape of the parameters, so that
    ``tfd.kl_divergence(q, p)`` returns one number for each element, in nats. The logarithm of the
    standard deviation is the parameter, because a posterior and a prior of a deep hierarchy differ
    by little: ``log_std_q - log_std_p`` keeps what ``log(std_q / std_p)`` would round away.
    """

    def __init__(self, mean: tf.Tensor, log_std: tf.Tensor, name: str = "DiagonalGaussian") -> None:
        """Builds the distribution; parameters of any float type are taken as float32.

        Args:
            mean: [...] mean of each element.
            log_std: [...] natural logarithm of the standard deviation of each element.
            name: name scope of the operations.
        """
        parameters = dict(locals())
        self.loc = tf.cast(mean, tf.float32)
        self.log_std = tf.cast(log_std, tf.float32)
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    def from_noise(self, noise: tf.Tensor, temperature: float | tf.Tensor = 1.0) -> tf.Tensor:
        """Moves standard normal noise to this distribution (Kingma and Welling 2014, section 2.4).

        Args:
            noise: [...] standard normal noise, of the batch shape or one that broadcasts with it.
            temperature: factor on the standard deviation, a number or a tensor that broadcasts;
                0 gives the mean.

        Returns:
            float32 [...], ``mean + temperature * exp(log_std) * noise``.
        """
        return self.loc + temperature * tf.exp(self.log_std) * noise

    def noise_of(self, value: tf.Tensor) -> tf.Tensor:
        """Returns the noise that `from_noise` moves to a value: ``(value - mean) / std``."""
        return (value - self.loc) * tf.exp(-self.log_std)

    def _batch_shape(self):
        return tf.broadcast_static_shape(self.loc.shape, self.log_std.shape)

    def _batch_shape_tensor(self):
        return tf.broadcast_dynamic_shape(tf.shape(self.loc), tf.shape(self.log_std))

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], tf.int32)

    def _broadcast(self, values):
        if values.shape == self.batch_shape:
            return values
        return tf.broadcast_to(values, self._batch_shape_tensor())

    def _sample_n(self, n, seed=None):
        shape = tf.concat([[n], self._batch_shape_tensor()], axis=0)
        seed = tfp.random.sanitize_seed(seed, salt="DiagonalGaussian")
        return self.from_noise(tf.random.stateless_normal(shape, seed))

    def _log_prob(self, value):
        standardised = self.noise_of(value)
        return -0.5 * tf.square(standardised) - self.log_std - HALF_LOG_TWO_PI

    def _mean(self):
        return self._broadcast(self.loc)

    def _stddev(self):
        return self._broadcast(tf.exp(self.log_std))

    def _variance(self):
        return self._broadcast(tf.exp(2.0 * self.log_std))

    def _entropy(self):
        return self._broadcast(self.log_std + (0.5 + HALF_LOG_TWO_PI))


class DrawnGaussian(DiagonalGaussian):
    """A `DiagonalGaussian` from which a value was drawn before the prior was known.

    That prior depends on the value, so that their KL divergence is not the rate. In its place
    ``tfd.kl_divergence(q, p)`` is log q - log p at the value, whose expectation is the rate: of
    each element, in nats, and possibly negative.
    """

    def __init__(
        self, mean: tf.Tensor, log_std: tf.Tensor, value: tf.Tensor, name: str = "DrawnGaussian"
    ) -> None:
        """Builds the distribution; see `DiagonalGaussian`. The value is [...], too."""
        super().__init__(mean, log_std, name)
        self.value = value


@tfd.RegisterKL(DrawnGaussian, DiagonalGaussian)
def log_ratio_at_the_value(
    q: DrawnGaussian, p: DiagonalGaussian, name: str | None = None
) -> tf.Tensor:
    """Returns log q - log p of each element at the value of q, float32 [...] nats."""
    with tf.name_scope(name or "log_ratio_at_the_value"):
        return q.log_prob(q.value) - p.log_prob(q.value)


@tfd.RegisterKL(DiagonalGaussian, DiagonalGaussian)
def kl_diagonal_gaussians(
    q: DiagonalGaussian, p: DiagonalGaussian, name: str | None = None
) -> tf.Tensor:
    """Computes KL(q || p) of each element, in nats, analytically.

    With ``d = log_std_q - log_std_p`` and ``m = (mean_q - mean_p) / std_p``,

        KL(q || p) = (expm1(2 d) / 2 - d) + m^2 / 2.

    Both terms are nonnegative. ``expm1`` keeps the first one accurate where q is close to p; the
    bound at zero removes only what rounding leaves below it, where the gradient vanishes anyway.

    Args:
        q: DiagonalGaussian, the posterior.
        p: DiagonalGaussian, the prior, whose batch shape broadcasts with that of q.
        name: name scope of the operations.

    Returns:
        float32 [...] nats; exactly 0 where both have the same parameters.
    """
    with tf.name_scope(name or "kl_diagonal_gaussians"):
        log_ratio = q.log_std - p.log_std
        shift = (q.loc - p.loc) * tf.exp(-p.log_std)
        spread = tf.nn.relu(0.5 * tf.math.expm1(2.0 * log_ratio) - log_ratio)
        return spread + 0.5 * tf.square(shift)


def pointwise_rate_nats(
    posterior: DiagonalGaussian, prior: DiagonalGaussian, latent: tf.Tensor
) -> tf.Tensor:
    """Returns log q(z) - log p(z) at a latent, summed over its dimensions.

    Its expectation under the posterior is `rate_nats`; unlike that it gives importance weights.

    Args:
        posterior: `DiagonalGaussian` of shape [batch, ...].
        prior: `DiagonalGaussian` of the same shape.
        latent: [batch, ...], drawn from the posterior.

    Returns:
        float32 [batch], nats.
    """
    return units.sum_per_example(posterior.log_prob(latent) - prior.log_prob(latent))


def rate_map_nats(posterior: DiagonalGaussian, prior: DiagonalGaussian) -> tf.Tensor:
    """Returns the rate of each number of a latent: [batch, ...] nats, whose sum is `rate_nats`."""
    return tfd.kl_divergence(posterior, prior)


def rate_nats(posterior: DiagonalGaussian, prior: DiagonalGaussian) -> tf.Tensor:
    """Returns the rate of a latent, KL(posterior || prior) summed over its dimensions.

    Args:
        posterior: `DiagonalGaussian` of shape [batch, ...].
        prior: `DiagonalGaussian` of the same shape.

    Returns:
        float32 [batch], nats.
    """
    return units.sum_per_example(rate_map_nats(posterior, prior))
