"""A mixture of logistics on pixel levels, for any channel count and bit depth.

The family of PixelCNN++ (Salimans et al. 2017, section 2.1 and 2.2), with two differences: any
number of channels, and exact masses. The published likelihood replaces the mass of a narrow bin by
the density at its middle; here the logarithm of the mass is computed without loss everywhere.
"""

import math

import tensorflow as tf
import tensorflow_probability as tfp

from pcvae import units
from pcvae.distributions.logistic_component import (
    MIN_LOG_SCALE,
    drawn_component,
    levels_of_component,
    location_of,
)

tfd = tfp.distributions


def channel_pairs(channels: int) -> list[tuple[int, int]]:
    """Returns the pairs (channel, earlier channel) that a coefficient joins, in order."""
    return [(c, j) for c in range(channels) for j in range(c)]


def num_params(channels: int, num_mixtures: int) -> int:
    """Returns how many parameters a pixel has: M (1 + 2 C + C (C - 1) / 2)."""
    return num_mixtures * (1 + 2 * channels + len(channel_pairs(channels)))


def unpack(
    params: tf.Tensor, channels: int, num_mixtures: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Splits the parameters of each pixel.

    In order: M logits; then for each channel c a block of M means, M log scales and M of each of
    the coefficient pairs p with ``p % C == c``, where p counts the pairs (1, 0), (2, 0), (2, 1),
    (3, 0), (3, 1), (3, 2). For three channels this is the layout of PixelCNN++.

    Args:
        params: [..., num_params(channels, num_mixtures)].
        channels: int C.
        num_mixtures: int M.

    Returns:
        logits [..., M], means [..., C, M], log_scales [..., C, M] and coefficients
        [..., C (C - 1) / 2, M], the latter before their tanh.
    """
    num_pairs = len(channel_pairs(channels))
    table = _table(params, num_mixtures)
    logits, *rest = tf.unstack(table, num=1 + 2 * channels + num_pairs, axis=-2)
    means, log_scales, coefficients = [], [], {}
    for channel in range(channels):
        means.append(rest.pop(0))
        log_scales.append(rest.pop(0))
        for pair in range(channel, num_pairs, channels):
            coefficients[pair] = rest.pop(0)
    ordered = [coefficients[pair] for pair in range(num_pairs)]
    return (
        logits,
        tf.stack(means, axis=-2),
        tf.stack(log_scales, axis=-2),
        tf.stack(ordered, axis=-2) if ordered else table[..., :0, :],
    )


def levels_from_uniforms(
    params: tf.Tensor,
    channels: int,
    num_mixtures: int,
    bit_depth: int,
    component_uniform: tf.Tensor,
    value_uniform: tf.Tensor,
) -> tf.Tensor:
    """Draws as `DiscretizedLogisticMixture.sample_from_uniforms` does, from `unpack`'s parameters.

    The parameters of the component that is drawn leave the others before anything is made of them.
    """
    table = _table(params, num_mixtures)
    drawn = drawn_component(table[..., 0, :], component_uniform)
    own = tf.gather(table, drawn, axis=-1, batch_dims=len(drawn.shape))
    _, *parts = (part[..., 0] for part in unpack(own, channels, 1))
    return levels_of_component(*parts, value_uniform, bit_depth)


def _table(params, num_mixtures):
    """Returns the parameters of a pixel as rows of M, [..., rows, M]."""
    rows = params.shape[-1] // num_mixtures
    shape = tf.concat([tf.shape(params)[:-1], [rows, num_mixtures]], axis=0)
    return tf.reshape(params, shape)


class DiscretizedLogisticMixture(tfd.Distribution):
    """A probability mass function over the levels {0, ..., 2^b - 1} of the C channels of a pixel.

    Level v stands at ``x = 2 v / (2^b - 1) - 1``, its bin reaches ``1 / (2^b - 1)`` to either side,
    and the first and the last bin reach to infinity. Given component k, channel c is logistic about
    ``means[c, k] + sum over earlier channels j of tanh(coefficients[(c, j), k]) x_j``. The event
    shape is [C].
    """

    def __init__(
        self,
        logits: tf.Tensor,
        means: tf.Tensor,
        log_scales: tf.Tensor,
        coefficients: tf.Tensor,
        bit_depth: int,
        name: str = "DiscretizedLogisticMixture",
    ) -> None:
        """Builds the distribution; parameters of any float type are taken as float32.

        Args:
            logits: [..., M] unnormalised log weights of the components.
            means: [..., C, M] on the scale where the levels fill [-1, 1].
            log_scales: [..., C, M] natural logarithms of the scales, clamped below at -7.
            coefficients: [..., C (C - 1) / 2, M] for the pairs of ``channel_pairs``, before tanh.
            bit_depth: int b in 1..8.
            name: name scope of the operations.
        """
        parameters = dict(locals())
        self.logits = tf.cast(logits, tf.float32)
        self.means = tf.cast(means, tf.float32)
        self.log_scales = tf.maximum(tf.cast(log_scales, tf.float32), MIN_LOG_SCALE)
        self.coefficients = tf.cast(coefficients, tf.float32)
        self.bit_depth = bit_depth
        self.channels = self.means.shape[-2]
        super().__init__(
            dtype=tf.int32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    def sample_from_uniforms(
        self, component_uniform: tf.Tensor, value_uniform: tf.Tensor
    ) -> tf.Tensor:
        """Inverts the distribution functions, so that equal uniforms give equal samples.

        Each channel is rounded and clipped to a level before it moves the next one, as in the mass
        function.

        Args:
            component_uniform: [..., 1] numbers in [0, 1) that choose the component.
            value_uniform: [..., C] numbers in [0, 1) that choose the levels.

        Returns:
            int32 [..., C] levels that follow the mass function.
        """
        drawn = drawn_component(self.logits, component_uniform)
        mask = tf.one_hot(drawn, self.logits.shape[-1])[..., tf.newaxis, :]
        parts = self.means, self.log_scales, self.coefficients
        own = (tf.reduce_sum(mask * part, axis=-1) for part in parts)
        return levels_of_component(*own, value_uniform, self.bit_depth)

    def _batch_shape(self):
        return self.logits.shape[:-1]

    def _batch_shape_tensor(self):
        return tf.shape(self.logits)[:-1]

    def _event_shape(self):
        return tf.TensorShape([self.channels])

    def _event_shape_tensor(self):
        return tf.constant([self.channels], tf.int32)

    def _sample_n(self, n, seed=None):
        seed = tfp.random.sanitize_seed(seed, salt="DiscretizedLogisticMixture")
        component_seed, value_seed = tfp.random.split_seed(seed, n=2)
        shape = tf.concat([[n], self._batch_shape_tensor()], axis=0)
        return self.sample_from_uniforms(
            tf.random.stateless_uniform(tf.concat([shape, [1]], axis=0), component_seed),
            tf.random.stateless_uniform(tf.concat([shape, [self.channels]], axis=0), value_seed),
        )

    def _means_and_slopes(self):
        """Returns the means of each channel and the slopes of each pair, lists of [..., M]."""
        slopes = tf.tanh(self.coefficients)
        return tf.unstack(self.means, axis=-2), tf.unstack(slopes, axis=-2)

    def _log_prob(self, value):
        levels = tf.cast(value, tf.float32)
        places = units.signed_from_levels(levels, self.bit_depth)
        places = [place[..., tf.newaxis] for place in tf.unstack(places, axis=-1)]
        means, slopes = self._means_and_slopes()
        offsets = [
            place - location_of(channel, means, slopes, places)
            for channel, place in enumerate(places)
        ]
        log_mass = _log_bin_mass(
            tf.stack(offsets, axis=-2), self.log_scales, levels[..., tf.newaxis], self.bit_depth
        )
        log_weights = tf.nn.log_softmax(self.logits)
        return tf.reduce_logsumexp(log_weights + tf.reduce_sum(log_mass, axis=-2), axis=-1)

    def _mean(self):
        """Returns the mean of the locations, each clipped to [-1, 1], as real-valued levels.

        It is the mean of the clipped locations of the components, each channel's given those of the
        earlier ones; not the mean of the discretised law, whose scales would pull it inwards.
        """
        means, slopes = self._means_and_slopes()
        places = []
        for channel in range(self.channels):
            location = location_of(channel, means, slopes, places)
            places.append(tf.clip_by_value(location, -1.0, 1.0))
        weights = tf.nn.softmax(self.logits)[..., tf.newaxis, :]
        mean = tf.reduce_sum(weights * tf.stack(places, axis=-2), axis=-1)
        return (mean + 1.0) * (units.max_level(self.bit_depth) / 2.0)


def _log_bin_mass(offset, log_scale, levels, bit_depth):
    """Returns the log mass of a level's bin under a logistic, exactly.

    With the bin's edges ``a > b`` in units of the scale and its width ``delta = a - b``,

        log(sigmoid(a) - sigmoid(b)) = log(1 - exp(-delta)) - softplus(-a) - softplus(b).

    All three terms are negative, so nothing cancels. An outer bin lacks one edge: the softplus of
    that edge and the term of the width are left out.

    Args:
        offset: [..., C, M] place of the level minus location of the logistic.
        log_scale: [..., C, M].
        levels: float32 [..., C, 1].
        bit_depth: int b.

    Returns:
        float32 [..., C, M] nats.
    """
    top = units.max_level(bit_depth)
    has_left = tf.cast(levels > 0.0, tf.float32)
    has_right = tf.cast(levels < top, tf.float32)
    inverse_scale = tf.exp(-log_scale)
    middle = offset * inverse_scale
    reach = inverse_scale / top
    log_width = math.log(2.0 / top) - log_scale
    return (
        has_left * has_right * _log1mexp(2.0 * reach, log_width)
        - has_right * tf.nn.softplus(-middle - reach)
        - has_left * tf.nn.softplus(middle - reach)
    )


def _log1mexp(x, log_x):
    """Returns log(1 - exp(-x)) of x >= 0; ``log_x`` stays finite where x itself is rounded to 0.

    Below log 2 it is ``log x - x / 2`` plus the series of log(sinh(x / 2) / (x / 2)), exact to
    float32 there. Each branch sees only arguments at which it and its gradient are finite.
    """
    small = tf.minimum(x, math.log(2.0))
    square = tf.square(small)
    series = log_x - 0.5 * small + square / 24.0 - tf.square(square) / 2880.0
    large = tf.math.log1p(-tf.exp(-tf.maximum(x, math.log(2.0))))
    return tf.where(x < math.log(2.0), series, large)
