"""A Gaussian on pixel levels: each level has the mass of its bin, the outer bins take the tails."""

import math

import tensorflow as tf
import tensorflow_probability as tfp

from pcvae import units
from pcvae.distributions.gaussian import HALF_LOG_TWO_PI
from pcvae.distributions.noise import open_interval

tfd = tfp.distributions

# Largest log scale that sampling uses: beyond it every sample lies in an outer bin, and exp of it
# still leaves room below the largest float32.
MAX_SAMPLING_LOG_SCALE = 60.0

# A bin is narrow where half its width, times the larger of 1 and its distance to the mean (all in
# standard deviations), is below this. There the series is exact to float32.
NARROW = 0.25


class DiscretizedGaussian(tfd.Distribution):
    """A probability mass function over the levels {0, ..., 2^b - 1}, one for each element.

    Level v stands at ``2 v / (2^b - 1) - 1``, its bin reaches ``1 / (2^b - 1)`` to either side, and
    the first and the last bin reach to infinity. The batch shape is the shape of the parameters.
    """

    def __init__(
        self, mean: tf.Tensor, log_std: tf.Tensor, bit_depth: int, name: str = "DiscretizedGaussian"
    ) -> None:
        """Builds the distribution; parameters of any float type are taken as float32.

        Args:
            mean: [...] mean of the Gaussian, on the scale where the levels fill [-1, 1].
            log_std: [...] natural logarithm of its standard deviation on the same scale; not below
                about -20, where float32 ends (the head bounds it).
            bit_depth: int b in 1..8.
            name: name scope of the operations.
        """
        parameters = dict(locals())
        self.loc = tf.cast(mean, tf.float32)
        self.log_std = tf.cast(log_std, tf.float32)
        self.bit_depth = bit_depth
        super().__init__(
            dtype=tf.int32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    def sample_from_uniforms(self, uniform: tf.Tensor) -> tf.Tensor:
        """Inverts the distribution function, so that equal uniforms give equal samples.

        Args:
            uniform: [...] numbers in [0, 1).

        Returns:
            int32 [...] levels that follow the mass function.
        """
        std = tf.exp(tf.minimum(self.log_std, MAX_SAMPLING_LOG_SCALE))
        places = self.loc + std * tf.math.ndtri(open_interval(uniform))
        return units.levels_from_signed(places, self.bit_depth)

    def _batch_shape(self):
        return tf.broadcast_static_shape(self.loc.shape, self.log_std.shape)

    def _batch_shape_tensor(self):
        return tf.broadcast_dynamic_shape(tf.shape(self.loc), tf.shape(self.log_std))

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], tf.int32)

    def _sample_n(self, n, seed=None):
        shape = tf.concat([[n], self._batch_shape_tensor()], axis=0)
        seed = tfp.random.sanitize_seed(seed, salt="DiscretizedGaussian")
        return self.sample_from_uniforms(tf.random.stateless_uniform(shape, seed))

    def _mean(self):
        """Returns the mean of the Gaussian, clipped to [-1, 1], as real-valued levels.

        Not the mean of the discretised law, which a wide Gaussian would pull inwards.
        """
        mean = tf.broadcast_to(tf.clip_by_value(self.loc, -1.0, 1.0), self._batch_shape_tensor())
        return (mean + 1.0) * (units.max_level(self.bit_depth) / 2.0)

    def _log_prob(self, value):
        top = units.max_level(self.bit_depth)
        half_width = 1.0 / top
        levels = tf.cast(value, tf.float32)
        is_first, is_last = levels <= 0.0, levels >= top
        scale = tf.exp(-self.log_std)
        place = (units.signed_from_levels(levels, self.bit_depth) - self.loc) * scale
        reach = half_width * scale
        # An inner bin is mirrored to the left of the mean, where the logarithm of the distribution
        # function keeps its digits; an outer bin ends at its one edge.
        inner_edge = reach - tf.abs(place)
        edge = tf.where(is_first, place + reach, tf.where(is_last, reach - place, inner_edge))
        log_below_edge = _log_ndtr(edge)
        log_ratio = log_below_edge - _log_ndtr(-reach - tf.abs(place))
        inner = tf.where(
            reach * tf.maximum(tf.abs(place), 1.0) < NARROW,
            _log_narrow_mass(place, reach, math.log(2.0 * half_width) - self.log_std),
            # The ratio of a wide bin is over NARROW; the bound is for the branch not taken.
            log_below_edge + tf.math.log1p(-tf.exp(-tf.maximum(log_ratio, NARROW))),
        )
        return tf.where(is_first | is_last, log_below_edge, inner)


def _log_ndtr(x):
    """Returns the logarithm of the standard normal distribution function, [...] -> [...]."""
    return tfd.Normal(0.0, 1.0).log_cdf(x)


def _log_narrow_mass(place, reach, log_width):
    """Returns log(Phi(place + reach) - Phi(place - reach)) of a narrow bin.

    The density integrated as a series about the middle of the bin, whose coefficients are the
    Hermite polynomials He2 and He4 of the place; ``log_width = log(2 reach)``.
    """
    narrow = reach * tf.maximum(tf.abs(place), 1.0) < NARROW
    z2 = tf.square(tf.where(narrow, place, 0.0))
    r2 = tf.square(tf.where(narrow, reach, 0.0))
    excess = r2 * (z2 - 1.0) / 6.0 + r2 * r2 * (z2 * z2 - 6.0 * z2 + 3.0) / 120.0
    return log_width - HALF_LOG_TWO_PI - 0.5 * tf.square(place) + tf.math.log1p(excess)
