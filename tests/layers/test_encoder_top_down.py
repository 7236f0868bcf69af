"""Encoder and decoder: shapes, widths, starts of resolutions, errors."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.layers import Encoder, Posterior, Prior, TopDown
from pcvae.layers.plan import posterior_prefix
from pcvae.layers.walk import LATENT, RATE_MAP

ENCODER = {"blocks": "8x1,8d2,4x1,4d4,1x1", "width": 6, "width_per_resolution": "4:8,1:10"}
DECODER = {**ENCODER, "blocks": "1x1,4m1,4x1,8m4", "latent_width": 2}


def build(layer):
    layer.build((None, 8, 8, 3))
    return layer


def randomise(layer):
    for index, weight in enumerate(layer.weights):
        weight.assign(0.3 * tf.random.stateless_normal(weight.shape, seed=(index, 5)))
    return layer


def test_widths_grow_by_zero_channels():
    """Where blocks add nothing, what a coarser resolution has more is zero."""
    encoder = build(Encoder(**ENCODER))
    for stack in encoder.stacks:
        for name in ("c4_kernel", "c4_bias"):
            stack.level_weight(name).assign(tf.zeros_like(stack.level_weight(name)))
    activations = encoder(tf.random.stateless_normal((2, 8, 8, 3), seed=(0, 0)))
    assert {side: a.shape[-1] for side, a in activations.items()} == {8: 6, 4: 8, 1: 10}
    fine = activations[8].numpy()
    for side, width in ((4, 8), (1, 10)):
        pooled = fine.reshape(2, side, 8 // side, side, 8 // side, 6).mean(axis=(2, 4))
        expected = np.concatenate([pooled, np.zeros((2, side, side, width - 6))], axis=-1)
        np.testing.assert_allclose(activations[side], expected, atol=1e-6)


def test_activations_of_a_resolution_are_those_before_the_block_that_pools():
    encoder = build(Encoder("8d8,1x1", 6))
    image = tf.random.stateless_normal((2, 8, 8, 3), seed=(0, 0))
    np.testing.assert_array_equal(encoder(image)[8], encoder.in_conv(image))


@pytest.mark.parametrize("no_bias_above", [8, 4, 0])
def test_a_resolution_starts_from_its_bias_or_from_zeros(no_bias_above):
    """Where levels add nothing, the features are the sum of the biases, each enlarged."""
    decoder = randomise(build(TopDown(**DECODER, no_bias_above=no_bias_above)))
    for stack in decoder.stacks:
        for name in stack.level_weight_names:
            stack.level_weight(name).assign(tf.zeros_like(stack.level_weight(name)))
    assert set(decoder.biases) == {str(side) for side in (1, 4, 8) if side <= no_bias_above}
    features = decoder.walk(3, Prior(tf.ones(4)), seeded_noise(0)).features
    start = np.zeros((8, 8, 6), np.float32)
    for side, bias in decoder.biases.items():
        factor = 8 // int(side)
        start += bias.numpy()[..., :6].repeat(factor, axis=0).repeat(factor, axis=1)
    expected = start * decoder.gain.numpy() + decoder.bias.numpy()
    np.testing.assert_allclose(features, np.broadcast_to(expected, (3, 8, 8, 6)), atol=1e-6)


def test_prefix_pass_is_the_posterior_pass_and_the_prior_pass_at_its_ends():
    encoder, decoder = randomise(build(Encoder(**ENCODER))), randomise(build(TopDown(**DECODER)))
    activations = encoder(tf.random.stateless_normal((3, 8, 8, 3), seed=(0, 0)))
    noise, temperature = seeded_noise(3), tf.constant([1.0, 0.5, 0.7, 0.9])
    whole = decoder.walk(3, Posterior(), noise, activations, keep=(LATENT,))
    for num_levels in range(5):
        plan = posterior_prefix(num_levels, temperature)
        prefix = decoder.walk(3, plan, noise, activations, keep=(LATENT,))
        for level in range(num_levels):
            np.testing.assert_array_equal(prefix.latents[level], whole.latents[level])
        np.testing.assert_array_equal(
            prefix.rate_per_level[:, :num_levels], whole.rate_per_level[:, :num_levels]
        )
        np.testing.assert_array_equal(prefix.rate_per_level[:, num_levels:], 0.0)
    np.testing.assert_array_equal(prefix.features, whole.features)
    none = decoder.walk(3, posterior_prefix(0, temperature), noise, activations)
    np.testing.assert_allclose(
        none.features, decoder.walk(3, Prior(temperature), noise).features, atol=1e-6
    )


def test_rate_per_level_has_one_column_for_each_level_in_order():
    encoder, decoder = build(Encoder(**ENCODER)), randomise(build(TopDown(**DECODER)))
    activations = encoder(tf.random.stateless_normal((3, 8, 8, 3), seed=(0, 0)))
    trace = decoder.walk(3, Posterior(), seeded_noise(0), activations, keep=(RATE_MAP,))
    assert [rates.shape[1] for rates in trace.kept[RATE_MAP]] == [1, 4, 4, 8]
    sums = [tf.reduce_sum(rates, axis=(1, 2, 3)) for rates in trace.kept[RATE_MAP]]
    np.testing.assert_allclose(trace.rate_per_level, tf.stack(sums, axis=1), rtol=1e-5)


@pytest.mark.parametrize("layer", [Encoder(**ENCODER), TopDown(**DECODER, split_levels=(2,))])
def test_config_round_trip(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    build(layer), build(again)
    assert [w.path for w in again.weights] == [w.path for w in layer.weights]
    assert [w.shape for w in again.weights] == [w.shape for w in layer.weights]


def test_widths_that_cannot_be_are_named():
    with pytest.raises(UserError, match="must not shrink .* 8 at 8 and 6 at 4"):
        Encoder("8d2,4x1", 6, width_per_resolution={8: 8})
    with pytest.raises(UserError, match="must not grow .* 6 at 1 and 8 at 4"):
        TopDown("1x1,4m1", 6, width_per_resolution={4: 8})
