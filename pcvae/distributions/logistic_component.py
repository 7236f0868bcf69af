"""Drawing from a mixture of logistics: a component, then the levels of its channels."""

from collections.abc import Sequence

import tensorflow as tf

from pcvae import units
from pcvae.distributions.noise import open_interval

MIN_LOG_SCALE = -7.0  # as published
# Largest log scale that sampling uses: beyond it every sample lies in an outer bin, and exp of it
# still leaves room below the largest float32.
MAX_SAMPLING_LOG_SCALE = 60.0


def drawn_component(logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Returns the component that a number chooses: int32 [...].

    Args:
        logits: float32 [..., M], unnormalised log weights.
        uniform: [..., 1] numbers in [0, 1).
    """
    weights = tf.cumsum(tf.nn.softmax(logits), axis=-1)
    # The last cumulative weight is 1 up to rounding; a component without weight is never taken.
    below = tf.minimum(uniform, 1.0 - 2.0**-23) * weights[..., -1:]
    return tf.reduce_sum(tf.cast(weights <= below, tf.int32), axis=-1)


def levels_of_component(
    means: tf.Tensor,
    log_scales: tf.Tensor,
    coefficients: tf.Tensor,
    value_uniform: tf.Tensor,
    bit_depth: int,
) -> tf.Tensor:
    """Draws the levels of a component, one for each pixel: int32 [..., C].

    Args:
        means: [..., C].
        log_scales: [..., C].
        coefficients: [..., C (C - 1) / 2], before tanh.
        value_uniform: [..., C] numbers in [0, 1) that choose the levels.
        bit_depth: int b.
    """
    uniform = open_interval(value_uniform)
    log_scales = tf.clip_by_value(log_scales, MIN_LOG_SCALE, MAX_SAMPLING_LOG_SCALE)
    spread = tf.exp(log_scales) * (tf.math.log(uniform) - tf.math.log1p(-uniform))
    means_of, slopes = tf.unstack(means, axis=-1), tf.unstack(tf.tanh(coefficients), axis=-1)
    levels, places = [], []
    for channel in range(len(means_of)):
        location = location_of(channel, means_of, slopes, places)
        level = units.levels_from_signed(location + spread[..., channel], bit_depth)
        levels.append(level)
        places.append(units.signed_from_levels(level, bit_depth))
    return tf.stack(levels, axis=-1)


def location_of(
    channel: int,
    means: Sequence[tf.Tensor],
    slopes: Sequence[tf.Tensor],
    places: Sequence[tf.Tensor],
) -> tf.Tensor:
    """Returns where a channel's logistic stands, given the places of the earlier channels.

    Args:
        channel: int c.
        means: a tensor for each channel.
        slopes: a tensor for each pair of ``channel_pairs``.
        places: a tensor for each earlier channel, on [-1, 1]; later ones are not read.
    """
    location, first_pair = means[channel], channel * (channel - 1) // 2
    for earlier in range(channel):
        location += slopes[first_pair + earlier] * places[earlier]
    return location
