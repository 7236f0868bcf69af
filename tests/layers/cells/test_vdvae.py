"""The VDVAE's cell under each plan: what the plans share, and their limits."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae.distributions.gaussian import rate_nats
from pcvae.distributions.noise import GivenNoise
from pcvae.layers import Given, Mixed, Posterior, Prior, Site, VDVAECell

WIDTH, LATENT, SIDE, BATCH = 8, 3, 4, 2
SITE = Site(tf.constant(0), (BATCH, SIDE, SIDE, LATENT))


@pytest.fixture
def cell():
    layer = VDVAECell(WIDTH, LATENT, 4, num_levels=5)
    layer.build()
    for weight in layer.weights:
        weight.assign(0.3 * tf.random.stateless_normal(weight.shape, seed=(7, len(weight.path))))
    return layer


def normal(seed, channels):
    return tf.random.stateless_normal((BATCH, SIDE, SIDE, channels), seed=(seed, 0))


H, EVIDENCE, DRAWN = normal(0, WIDTH), normal(1, WIDTH), normal(2, LATENT)
NOISE = GivenNoise((DRAWN,))


def step(cell, plan, *inputs, h=H, evidence=EVIDENCE):
    """One level as a walk takes it: the latent, its rate and the next features."""
    prior, after = cell.prior(h, SITE)
    posterior = cell.posterior(h, prior, evidence, SITE) if plan.reads_evidence else None
    latent, rate = plan.draw(SITE, prior, posterior, NOISE, *inputs)
    return latent, rate, cell.absorb(after, latent)


def assert_equal(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_rate_is_the_expected_log_ratio(cell):
    prior, _ = cell.prior(H, SITE)
    posterior = cell.posterior(H, prior, EVIDENCE, SITE)
    _, rate, _ = step(cell, Posterior())
    samples = posterior.sample(4000, seed=(1, 2))
    ratio = tf.reduce_sum(posterior.log_prob(samples) - prior.log_prob(samples), axis=(2, 3, 4))
    error = np.std(ratio, axis=0) / np.sqrt(len(ratio))
    assert (np.abs(np.mean(ratio, axis=0) - rate) < 4 * error).all()


def test_a_pointwise_rate_is_the_log_ratio_at_the_latent(cell):
    latent, rate, _ = step(cell, Posterior(pointwise=True))
    prior, _ = cell.prior(H, SITE)
    posterior = cell.posterior(H, prior, EVIDENCE, SITE)
    ratio = posterior.log_prob(latent) - prior.log_prob(latent)
    np.testing.assert_allclose(rate, tf.reduce_sum(ratio, axis=(1, 2, 3)), rtol=1e-5)


def test_posterior_equal_to_the_prior_has_rate_zero(cell):
    # Networks that ignore their inputs: both give the biases, which are made equal.
    for block in (cell.posterior_block, cell.prior_block):
        block.c4.kernel.assign(tf.zeros_like(block.c4.kernel))
    bias = tf.constant([0.3, -0.2, 1.0, -1.0, 0.5, 0.0])
    cell.posterior_block.c4.bias.assign(bias)
    cell.prior_block.c4.bias.assign(tf.concat([bias, tf.zeros(WIDTH)], axis=0))
    latent, rate, features = step(cell, Posterior())
    np.testing.assert_array_equal(rate, np.zeros(BATCH))
    assert_equal(step(cell, Prior(tf.ones(1)), 1.0), (latent, rate, features))


def test_a_new_cell_has_a_standard_normal_prior():
    layer = VDVAECell(WIDTH, LATENT, 4)
    layer.build()
    np.testing.assert_array_equal(step(layer, Prior(tf.ones(1)), 1.0)[0], DRAWN)


def test_temperature_scales_the_deviation_from_the_mean(cell):
    mean, half, full = (step(cell, Prior(tf.ones(1)), t)[0] for t in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(half - mean, 0.5 * (full - mean), atol=1e-5)


def test_a_mixed_plan_is_one_of_its_sources(cell):
    latents, t = (normal(3, LATENT),), tf.constant([0.7])
    yes, no = tf.constant([True]), tf.constant([False])
    as_posterior = Mixed(t, inferred=yes)
    assert_equal(step(cell, as_posterior, t[0], yes[0]), step(cell, Posterior()))
    as_prior = Mixed(t, inferred=no)
    assert_equal(step(cell, as_prior, t[0], no[0]), step(cell, Prior(t), t[0]))
    as_given = Mixed(t, inferred=no, given=yes, latents=latents)
    actual = step(cell, as_given, t[0], no[0], yes[0], latents[0])
    assert_equal(actual, step(cell, Given(latents), latents[0]))


def test_a_given_latent_has_the_features_of_the_walk_that_drew_it(cell):
    latent, rate, features = step(cell, Posterior())
    plan = Given((latent,))
    assert_equal(step(cell, plan, latent), (latent, tf.zeros(BATCH), features))
    # With evidence the rate is that of the posterior at this place.
    plan = Given((latent,), reads_evidence=True)
    assert_equal(step(cell, plan, latent), (latent, rate, features))


def test_the_prior_does_not_see_the_evidence(cell):
    for plan, inputs in ((Prior(tf.ones(1)), (1.0,)), (Given((DRAWN,)), (DRAWN,))):
        assert not plan.reads_evidence
        assert_equal(step(cell, plan, *inputs), step(cell, plan, *inputs, evidence=None))


def test_config_round_trip(cell):
    again = VDVAECell.from_config(cell.get_config())
    again.build()
    assert again.get_config() == cell.get_config()
    assert [w.shape for w in again.weights] == [w.shape for w in cell.weights]


@pytest.mark.parametrize("features_type", [tf.bfloat16, tf.float32])
def test_rates_and_features_keep_their_type_under_bfloat16(features_type):
    layer = VDVAECell(WIDTH, LATENT, 4, dtype="mixed_bfloat16")
    layer.build()
    h = tf.cast(H, features_type)
    latent, rate, features = step(layer, Posterior(), h=h, evidence=h)
    assert (features.dtype, latent.dtype, rate.dtype) == (features_type, tf.float32, tf.float32)
    prior, _ = layer.prior(h, SITE)
    np.testing.assert_array_equal(rate, rate_nats(layer.posterior(h, prior, h, SITE), prior))
