"""The importance-weighted bound against exact likelihoods and the negative ELBO."""

import types

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from pcvae import units
from pcvae.distributions.gaussian import DiagonalGaussian, pointwise_rate_nats, rate_nats
from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.measure import ImportanceWeightedEvaluation
from pcvae.measure.importance import effective_sample_size
from pcvae.models import StagedVAE
from pcvae.objectives import bound_nats
from pcvae.outputs import VDVAEOutput
from tests.models import tiny

SHAPE, DIMS = (2, 2, 1), 4
LOADINGS = np.diag([0.6, 0.3, 0.2, 0.1]) @ np.linalg.qr(np.arange(16.0).reshape(4, 4) ** 1.3)[0]
STD = 0.3


class LinearGaussian:
    """p(z) = N(0, I), p(x | z) = N(z V, s^2 I) with orthogonal rows of V: all in closed form.

    The posterior is exact, or its standard deviation is ``spread`` times as large.
    """

    image_shape = SHAPE
    head = types.SimpleNamespace(has_likelihood=True)

    def __init__(self, spread=1.0):
        precision = 1.0 + (LOADINGS**2).sum(axis=1) / STD**2
        self.project = tf.constant(LOADINGS.T / STD**2 / precision, tf.float32)
        self.log_std = tf.constant(np.log(spread) - 0.5 * np.log(precision), tf.float32)

    def posterior_output(self, images, noise, pointwise):
        x = tf.reshape(units.signed_from_levels(images, 8), [-1, DIMS])
        mean = x @ self.project
        posterior = DiagonalGaussian(mean, tf.broadcast_to(self.log_std, tf.shape(mean)))
        prior = DiagonalGaussian(tf.zeros_like(mean), tf.zeros_like(mean))
        z = posterior.from_noise(noise.normal(0, (tf.shape(mean)[0], DIMS)))
        rate = (
            pointwise_rate_nats(posterior, prior, z) if pointwise else rate_nats(posterior, prior)
        )
        x_given_z = DiagonalGaussian(z @ tf.constant(LOADINGS, tf.float32), np.log(STD))
        nll = -tf.reduce_sum(x_given_z.log_prob(x), axis=1)
        return VDVAEOutput(None, None, (), rate[:, None], nll)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(60, 200, (11, *SHAPE), dtype=np.uint8)


@pytest.fixture(scope="module")
def exact_nll_nats(images):
    x = units.signed_from_levels(images, 8).numpy().reshape(-1, DIMS)
    covariance = LOADINGS.T @ LOADINGS + STD**2 * np.eye(DIMS)
    return -scipy.stats.multivariate_normal(np.zeros(DIMS), covariance).logpdf(x)


def log_weights(model, images, num_samples, batch_size=64, seed=0):
    evaluation = ImportanceWeightedEvaluation(model, num_samples, batch_size)
    return np.concatenate(list(evaluation.log_weights(images, seed)))


def test_exact_posterior_gives_the_likelihood_by_one_sample(images, exact_nll_nats):
    weights = log_weights(LinearGaussian(), images, 3)
    for sample in weights.T:
        np.testing.assert_allclose(-sample, exact_nll_nats, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(effective_sample_size(weights), 3.0, rtol=1e-4)


def test_wide_posterior_reaches_the_likelihood_as_samples_grow(images, exact_nll_nats):
    """Never below it in expectation, falling with K, and equal to it within Monte Carlo error."""
    weights = log_weights(LinearGaussian(spread=1.3), images, 1024)
    # The mean bound of K samples, over disjoint groups of them.
    gaps = [
        np.mean([bound_nats(part) for part in np.split(weights, 1024 // k, axis=1)]) - mean
        for mean in [exact_nll_nats.mean()]
        for k in (1, 4, 16, 64, 256, 1024)
    ]
    assert all(one > two for one, two in zip(gaps[:4], gaps[1:5], strict=True))
    relative = np.exp(weights + exact_nll_nats[:, None])  # w / p(x), of mean 1
    errors = relative.std(axis=1) / np.sqrt(1024)
    assert (np.abs(relative.mean(axis=1) - 1.0) < 4.5 * errors).all()
    assert abs(gaps[-1]) < 4 * np.sqrt(np.mean(errors**2) / len(images))
    sizes = effective_sample_size(weights)
    np.testing.assert_allclose(sizes, 1024 / (1 + relative.var(axis=1)), rtol=0.05)


@pytest.fixture(scope="module")
def vdvae():
    return tiny.vdvae(image_shape=(4, 4, 1), decoder_blocks="1x2,4m1", num_mixtures=1)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(1).integers(0, 256, (7, 4, 4, 1), dtype=np.uint8)


def test_bound_of_a_vdvae_against_its_negative_elbo(vdvae, pictures):
    weights = log_weights(vdvae, pictures, 200)
    # Jensen: never above the mean of the same samples, whose expectation is the negative ELBO.
    assert np.all(bound_nats(weights) < -weights.mean(axis=1))
    sizes = effective_sample_size(weights)
    assert ((sizes >= 1.0) & (sizes <= 200.0)).all()


@pytest.mark.parametrize("staged", [False, True])
def test_rates_of_drawn_latents_are_the_rates_on_average(vdvae, pictures, staged):
    """So that minus the mean log weight is the negative ELBO: level by level, stage by stage."""
    model, images = vdvae, pictures
    if staged:
        first = tiny.first_stage()
        model, images = StagedVAE([first, tiny.next_stage([first])]), tiny.random_images()
    images = np.repeat(images[:1], 2000, axis=0)
    noise = seeded_noise(3)
    drawn, analytic = (
        model.posterior_output(images, noise, pointwise=pointwise).rate_per_level.numpy()
        for pointwise in (True, False)
    )
    differences = drawn.astype(float) - analytic
    errors = differences.std(axis=0) / np.sqrt(2000)
    assert (errors > 0).all()
    assert (np.abs(differences.mean(axis=0)) < 4.5 * errors).all()


def test_the_record_is_the_mean_bound_with_its_error_whatever_the_batch(vdvae, pictures):
    evaluation = ImportanceWeightedEvaluation(vdvae, 3, batch_size=7)
    expected = evaluation(pictures, seed=2)
    assert expected["importance_samples"] == 3
    (weights,) = evaluation.log_weights(pictures, seed=2)
    bits = bound_nats(weights).numpy() / 16 / np.log(2)
    assert expected["iw_nll_bits_per_dim"] == pytest.approx(bits.mean(), rel=1e-5)
    stderr = bits.std(ddof=1) / np.sqrt(7)
    assert expected["iw_nll_bits_per_dim_stderr"] == pytest.approx(stderr, rel=1e-5)
    ragged = ImportanceWeightedEvaluation(vdvae, 3, batch_size=4)(pictures, seed=2)
    assert ragged == pytest.approx(expected, rel=1e-4)


def test_extreme_weights_stay_finite():
    weights = np.array([[-5000.0, -5001.0], [-8000.0, -8000.0], [-1e6, -2e6]])
    expected = [5000.0 - np.log((1 + np.exp(-1)) / 2), 8000.0, 1e6 + np.log(2)]
    np.testing.assert_allclose(bound_nats(weights), expected, rtol=1e-12)
    np.testing.assert_allclose(effective_sample_size(weights)[1:], [2.0, 1.0], rtol=1e-9)


def test_what_has_no_likelihood_is_refused(vdvae):
    with pytest.raises(UserError, match="head with a likelihood"):
        ImportanceWeightedEvaluation(tiny.first_stage(), 2)
    with pytest.raises(UserError, match="importance_samples"):
        ImportanceWeightedEvaluation(vdvae, 0)
