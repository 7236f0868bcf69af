"""Inference upwards: published sizes, the exact posterior of a linear model, and what rates are."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal

from pcvae import models
from pcvae.distributions.gaussian import DiagonalGaussian
from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.layers.cells.bottom_up import drawn_upwards
from pcvae.layers.cells.cell import standard_normal
from pcvae.layers.walk import walk_cells
from tests.models import tiny

pytestmark = pytest.mark.usefixtures("eagerly")

# z_1 ~ N(0, 1), z_2 = B z_1 + S e, x = Q (W z_2) + T e with a rotation Q: posteriors are diagonal.
DIMS = 3
B, W = np.array([0.9, -0.5, 1.5]), np.array([1.2, 0.4, -2.0])
S, T = 0.6, 0.3
ROTATION, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(DIMS, DIMS)))
PRECISION_OF_Z2 = 1.0 / (B**2 + S**2) + (W / T) ** 2


class LinearCell:
    """A level of which everything is linear and the posterior is exact."""

    def __init__(self, level):
        self.level = level

    def upwards(self, x):
        return x

    def recognised(self, x):
        if self.level == 1:  # q(z_2 | x)
            mean, variance = x @ (ROTATION * (W / T**2 / PRECISION_OF_Z2)), 1.0 / PRECISION_OF_Z2
        else:  # q(z_1 | z_2)
            variance = 1.0 / (1.0 + (B / S) ** 2)
            mean = x * (B / S**2 * variance)
        return DiagonalGaussian(mean, tf.zeros_like(mean) + 0.5 * np.log(variance))

    def prior(self, h, site):
        if self.level == 0:
            return standard_normal(site), h
        return DiagonalGaussian(h * B, tf.zeros_like(h) + np.log(S)), h

    def posterior(self, h, prior, evidence, site):
        return evidence[self.level]

    def absorb(self, h, latent):
        return latent


def walk(x, plan, seed=0):
    cells, shapes, noise = [LinearCell(0), LinearCell(1)], [(DIMS,)] * 2, seeded_noise(seed)
    found = drawn_upwards(cells, shapes, plan, noise, tf.constant(x, tf.float32))
    return walk_cells(cells, tf.zeros([len(x), DIMS]), shapes, plan, noise, found)


def images(count):
    generator = np.random.default_rng(1)
    z_2 = generator.normal(size=(count, DIMS)) * np.sqrt(B**2 + S**2)
    return z_2 * W @ ROTATION.T + T * generator.normal(size=(count, DIMS))


def log_evidence(x):
    covariance = ROTATION * (W**2 * (B**2 + S**2)) @ ROTATION.T + T**2 * np.eye(DIMS)
    return multivariate_normal(np.zeros(DIMS), covariance).logpdf(x)


def log_likelihood(x, trace):
    means = trace.features.numpy().astype(np.float64) * W @ ROTATION.T
    return multivariate_normal(np.zeros(DIMS), T**2 * np.eye(DIMS)).logpdf(x - means)


def test_with_the_exact_posterior_each_draw_gives_the_evidence():
    x = images(8)
    trace = walk(x, models.Posterior(pointwise=True))
    bound = log_likelihood(x, trace) - trace.rate_per_level.numpy().sum(axis=1)
    np.testing.assert_allclose(bound, log_evidence(x), rtol=1e-5, atol=2e-5)


def test_the_analytic_rate_of_the_first_level_has_the_same_mean_with_less_variance():
    x = np.repeat(images(1), 4000, axis=0)
    trace, other = walk(x, models.Posterior()), walk(x, models.Posterior(pointwise=True))
    bound = log_likelihood(x, trace) - trace.rate_per_level.numpy().sum(axis=1)
    error = bound.std() / np.sqrt(len(x))
    assert 0.0 < error < 0.1
    assert abs(bound.mean() - log_evidence(x)[0]) < 4 * error
    first, drawn = (rates.rate_per_level.numpy()[:, 0] for rates in (trace, other))
    assert first.std() < 0.9 * drawn.std()
    # The rate of the prefix is KL(q(z_1 | x) || p(z_1)): the sum is above it, by convexity.
    variance = 1.0 / PRECISION_OF_Z2
    shrink = B / (B**2 + S**2)
    mean = (x[0] @ (ROTATION * (W / T**2 * variance))) * shrink
    total = S**2 / (B**2 + S**2) + shrink**2 * variance
    exact = 0.5 * np.sum(total + mean**2 - 1.0 - np.log(total))
    assert first.mean() > exact + 0.02


@pytest.mark.parametrize(
    ("latent_widths", "widths", "count"),
    [((50,), (200,), 425_284), ((50, 100), (100, 200), 521_084)],
)
def test_the_published_sizes(latent_widths, widths, count):
    model = models.BottomUpVAE((28, 28, 1), latent_widths, widths)
    assert model.count_params() == count == sum(w.shape.num_elements() for w in model.weights)
    (stage,) = model.describe()
    assert stage.num_params["head"] == 0


def test_it_says_that_rates_of_prefixes_are_bounds():
    model = tiny.random_weights(models.BottomUpVAE(tiny.IMAGE_SHAPE, (2, 3), (5, 6)))
    assert not model.rates_of_prefixes_are_exact
    assert models.LadderVAE.rates_of_prefixes_are_exact
    rates = model.rate_per_level(tiny.random_images(64))
    assert (rates[:, 0] >= 0.0).all() and (rates[:, 1] < 0.0).any()


def test_a_finer_latent_that_is_given_is_what_the_coarser_one_is_inferred_from():
    model = tiny.random_weights(models.BottomUpVAE(tiny.IMAGE_SHAPE, (2, 3), (5, 6)))
    images, noise = tiny.random_images(4), seeded_noise(0)
    latents = [tf.constant(z) for z in model.encode(images)]
    moved = (latents[0], latents[1] + 1.0)
    plan = models.Mixed(tf.ones(2), tf.constant([True, False]), tf.constant([False, True]), moved)
    trace = model.trace(plan, noise, images, keep=(models.LATENT,))
    top, cell = moved[1], model.cells[0]
    expected = cell.recognised(cell.upwards(top)).from_noise(noise.normal(0, (4, 2)))
    np.testing.assert_allclose(trace.latents[0], expected, rtol=1e-5, atol=1e-6)
    assert np.abs(trace.latents[0] - latents[0]).max() > 0.01


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"latent_widths": (), "widths": ()}, "latent_widths"),
        ({"latent_widths": (2, 3), "widths": (4,)}, "one for each of the 2 latent_widths, got 1"),
        ({"latent_widths": (2, 0), "widths": (4, 4)}, r"latent_widths\[1\]"),
        ({"latent_widths": 2, "widths": (4,)}, "a number for each level, got 2"),
        ({"widths": (10**9,)}, "smaller widths"),
    ],
)
def test_sizes_that_do_not_fit_get_one_line(arguments, words):
    with pytest.raises(UserError, match=words) as error:
        models.BottomUpVAE(tiny.IMAGE_SHAPE, **arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("sides", [(3,), (2, 3), (4, 2), ()])
def test_sides_that_do_not_divide_get_one_line(sides):
    with pytest.raises(UserError, match="sides"):
        models.ConvolutionalBottomUpVAE(tiny.IMAGE_SHAPE, sides)


def test_what_a_frozen_prefix_needs_is_frozen_with_it():
    model = models.BottomUpVAE(tiny.IMAGE_SHAPE, (2, 3), (5, 6))
    names = model.weights_of_prefix(1)
    held = {name.rsplit("/", 1)[0] for name in names}
    parts = ("upwards/dense_1", "upwards/dense_2", "posterior")
    assert held == {f"level_00{level}/{part}" for level in (0, 1) for part in parts}
    held = {name.rsplit("/", 1)[0] for name in model.weights_of_prefix(2)} - held
    assert held == {"level_000/downwards/dense_1", "level_000/downwards/dense_2", "level_001/prior"}


@pytest.mark.parametrize("num_levels", [1, 2])
def test_the_latents_of_a_prefix_hang_on_its_weights_alone(num_levels):
    model = tiny.random_weights(models.ConvolutionalBottomUpVAE(tiny.IMAGE_SHAPE, (1, 2), 6))
    images, noise = tiny.random_images(2), seeded_noise(0)

    def latents_and_rates():
        trace = model.trace(models.Posterior(), noise, images, keep=(models.LATENT,))
        rates = trace.rate_per_level[:, :num_levels]
        return [*trace.latents[:num_levels], rates], trace.features

    before, features = latents_and_rates()
    for name in model.named_weights.keys() - model.weights_of_prefix(num_levels).keys():
        model.named_weights[name].assign_add(tf.ones_like(model.named_weights[name]))
    after, moved = latents_and_rates()
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(moved - features).max() > 0.01
