"""One top-down level: what its forms share, and its limits."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae.layers import TopDownLevel

WIDTH, LATENT, SIDE, BATCH = 8, 3, 4, 2


@pytest.fixture
def level():
    layer = TopDownLevel(WIDTH, LATENT, 4, num_levels=5)
    layer.build()
    for weight in layer.weights:
        weight.assign(0.3 * tf.random.stateless_normal(weight.shape, seed=(7, len(weight.path))))
    return layer


def normal(seed, channels):
    return tf.random.stateless_normal((BATCH, SIDE, SIDE, channels), seed=(seed, 0))


FEATURES, ACTIVATIONS, NOISE = normal(0, WIDTH), normal(1, WIDTH), normal(2, LATENT)


def test_rate_is_the_expected_log_ratio(level):
    posterior = level.posterior(FEATURES, ACTIVATIONS)
    prior, _ = level.prior(FEATURES)
    rate = level.infer(FEATURES, ACTIVATIONS, NOISE).rate
    samples = posterior.sample(4000, seed=(1, 2))
    ratio = tf.reduce_sum(posterior.log_prob(samples) - prior.log_prob(samples), axis=(2, 3, 4))
    error = np.std(ratio, axis=0) / np.sqrt(len(ratio))
    assert (np.abs(np.mean(ratio, axis=0) - rate) < 4 * error).all()
    assert (rate.numpy() > 0).all()


def test_posterior_equal_to_the_prior_has_rate_zero(level):
    # Networks that ignore their inputs: both give the biases, which are made equal.
    for block in (level.posterior_block, level.prior_block):
        block.c4.kernel.assign(tf.zeros_like(block.c4.kernel))
    bias = tf.constant([0.3, -0.2, 1.0, -1.0, 0.5, 0.0])
    level.posterior_block.c4.bias.assign(bias)
    level.prior_block.c4.bias.assign(tf.concat([bias, tf.zeros(WIDTH)], axis=0))
    output = level.infer(FEATURES, ACTIVATIONS, NOISE)
    np.testing.assert_array_equal(output.rate, np.zeros(BATCH))
    generated = level.generate(FEATURES, NOISE, 1.0)
    np.testing.assert_array_equal(output.latent, generated.latent)
    np.testing.assert_array_equal(output.features, generated.features)


def test_a_new_level_has_a_standard_normal_prior():
    layer = TopDownLevel(WIDTH, LATENT, 4)
    layer.build()
    generated = layer.generate(FEATURES, NOISE, 1.0)
    np.testing.assert_array_equal(generated.latent, NOISE)


def test_temperature_scales_the_deviation_from_the_mean(level):
    mean = level.generate(FEATURES, NOISE, 0.0).latent
    full = level.generate(FEATURES, NOISE, 1.0).latent
    half = level.generate(FEATURES, NOISE, 0.5).latent
    np.testing.assert_allclose(half - mean, 0.5 * (full - mean), atol=1e-5)


def test_infer_or_generate_is_one_or_the_other(level):
    arguments = (FEATURES, ACTIVATIONS, NOISE, 0.7)
    inferred = level.infer_or_generate(*arguments, tf.constant(True))
    for actual, expected in zip(inferred, level.infer(*arguments[:3]), strict=True):
        np.testing.assert_array_equal(actual, expected)
    generated = level.infer_or_generate(*arguments, tf.constant(False))
    for actual, expected in zip(generated, level.generate(FEATURES, NOISE, 0.7), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_decoding_the_latent_of_a_pass_gives_its_features(level):
    inferred = level.infer(FEATURES, ACTIVATIONS, NOISE)
    decoded = level.decode(FEATURES, inferred.latent, tf.constant(True), NOISE, 1.0)
    np.testing.assert_array_equal(decoded.features, inferred.features)


def test_config_round_trip(level):
    again = TopDownLevel.from_config(level.get_config())
    again.build()
    assert again.get_config() == level.get_config()
    assert [w.shape for w in again.weights] == [w.shape for w in level.weights]


def test_rates_stay_float32_under_bfloat16():
    layer = TopDownLevel(WIDTH, LATENT, 4, dtype="mixed_bfloat16")
    layer.build()
    features = tf.cast(FEATURES, tf.bfloat16)
    output = layer.infer(features, features, NOISE)
    assert (output.features.dtype, output.latent.dtype, output.rate.dtype) == (
        tf.bfloat16,
        tf.float32,
        tf.float32,
    )
