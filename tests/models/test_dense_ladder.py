"""The dense ladder VAE: its posterior is the prior times what the image says."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae import models
from pcvae.distributions.noise import seeded_noise
from tests.models import tiny

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture
def model():
    return tiny.random_weights(models.DenseLadderVAE(tiny.IMAGE_SHAPE, (2, 3), (5, 6)))


def test_the_published_sizes():
    model = models.DenseLadderVAE((28, 28, 1))
    assert model.latent_shapes == ((4,), (8,), (16,), (32,), (64,))
    seen, above, count = 784, [64, 64, 128, 256], 0
    for width, latent in zip((512, 256, 128, 64, 64), (64, 32, 16, 8, 4), strict=True):
        count += (seen + width + latent + width) * width  # hidden layers, without biases
        count += 4 * 4 * width + (width + 1) * 2 * latent  # normalisations, posterior
        count += (above.pop() + 1) * 2 * latent if above else 0  # prior
        seen = width
    assert model.count_params() == count + 513 * 784


def test_where_the_image_says_nothing_the_posterior_is_the_prior(model):
    images, noise = tiny.random_images(4), seeded_noise(1)
    assert (model(images, noise).rate_per_level.numpy() > 1e-3).any()
    for cell in model.cells:
        widths = [0.0] * cell.latent_width + [1e9] * cell.latent_width
        cell.to_posterior.bias.assign(widths)
        cell.to_posterior.kernel.assign(0.0 * cell.to_posterior.kernel)
    trace = model.trace(models.Posterior(), noise, images, keep=(models.LATENT,))
    np.testing.assert_allclose(trace.rate_per_level, 0.0, atol=1e-6)
    prior = model.trace(models.Prior(tf.ones(2)), noise, num_images=4, keep=(models.LATENT,))
    for latent, expected in zip(trace.latents, prior.latents, strict=True):
        np.testing.assert_allclose(latent, expected, rtol=1e-5, atol=1e-6)


def test_a_layer_gives_means_and_softplus_of_variances(model):
    x = np.array([-90.0, -15.1, -14.9, 0.0, 40.0, 1e20])
    gaussian = model.cells[0].gaussian(tf.constant([*x, *x], tf.bfloat16)[None])
    x = np.asarray(tf.cast(tf.constant(x, tf.bfloat16), tf.float64))
    np.testing.assert_allclose(gaussian.loc[0], x, rtol=1e-6)
    expected = 0.5 * np.where(x < -30.0, x, np.log(np.logaddexp(0.0, np.maximum(x, -30.0))))
    np.testing.assert_allclose(gaussian.log_std[0], expected, rtol=1e-5)


def test_the_posterior_is_the_normalised_product(model):
    """By quadrature over one number of the second latent."""
    images, noise = tiny.random_images(1), seeded_noise(1)
    found = model.posteriors(models.Posterior(), noise, model.evidence(images, None))
    h = model.cells[0].absorb(None, tf.constant([[0.3, -0.7]]))
    prior, _ = model.cells[1].prior(h, None)
    posterior = model.cells[1].posterior(h, prior, found, None)
    z = np.linspace(-12.0, 12.0, 20_001)[:, None].astype(np.float32)
    density = np.exp(found[1].log_prob(z) + prior.log_prob(z)).astype(np.float64)
    density /= density.sum(axis=0)
    mean = (density * z).sum(axis=0)
    variance = (density * (z - mean) ** 2).sum(axis=0)
    np.testing.assert_allclose(posterior.mean()[0], mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(posterior.variance()[0], variance, rtol=1e-3)
