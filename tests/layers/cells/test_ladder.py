"""The ladder's posterior is a product of Gaussians, by quadrature and in its limits."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae.distributions.gaussian import DiagonalGaussian, rate_nats
from pcvae.layers.cells import Site
from pcvae.layers.cells.ladder import LadderCell, product

SHAPE = (3, 4, 4, 2)
SITE = Site(tf.constant(0), SHAPE)


def gaussian(seed):
    mean, log_std = tf.random.stateless_normal((2, *SHAPE), seed=(seed, 1))
    return DiagonalGaussian(mean, log_std)


def test_the_product_is_that_of_the_densities_by_quadrature():
    one, other = gaussian(0), gaussian(1)
    both = product(one, other)
    grid = np.linspace(-30, 30, 60_001)[:, None].astype(np.float64)
    pick = slice(0, 7)
    parameters = [
        (np.ravel(g.loc)[pick].astype(np.float64), np.exp(np.ravel(g.log_std)[pick]))
        for g in (one, other)
    ]
    density = np.exp(sum(-0.5 * ((grid - mean) / std) ** 2 for mean, std in parameters))
    density /= density.sum(axis=0)
    mean = (grid * density).sum(axis=0)
    std = np.sqrt(((grid - mean) ** 2 * density).sum(axis=0))
    np.testing.assert_allclose(np.ravel(both.loc)[pick], mean, atol=1e-5)
    np.testing.assert_allclose(np.exp(np.ravel(both.log_std)[pick]), std, rtol=1e-5)


def test_it_does_not_matter_which_comes_first():
    one, other = gaussian(2), gaussian(3)
    there, back = product(one, other), product(other, one)
    np.testing.assert_allclose(there.loc, back.loc, atol=1e-5)
    np.testing.assert_allclose(there.log_std, back.log_std, atol=1e-5)


@pytest.mark.parametrize("log_std", [20.0, 60.0, 1e4])
def test_an_image_that_says_nothing_leaves_the_prior(log_std):
    prior = gaussian(4)
    posterior = product(DiagonalGaussian(gaussian(5).loc, tf.fill(SHAPE, log_std)), prior)
    np.testing.assert_allclose(posterior.loc, prior.loc, atol=1e-6)
    np.testing.assert_array_equal(posterior.log_std, prior.log_std)
    np.testing.assert_allclose(rate_nats(posterior, prior), np.zeros(3), atol=1e-6)


def test_an_image_that_says_all_leaves_nothing_to_the_prior():
    said = DiagonalGaussian(gaussian(6).loc, tf.fill(SHAPE, -40.0))
    posterior = product(said, gaussian(7))
    np.testing.assert_allclose(posterior.loc, said.loc, atol=1e-6)
    np.testing.assert_allclose(posterior.log_std, said.log_std, atol=1e-4)


def test_the_posterior_of_a_cell_sees_earlier_latents_by_the_prior_alone():
    cell = LadderCell(8, 2, 4)
    cell.build()
    for index, weight in enumerate(cell.weights):
        weight.assign(0.3 * tf.random.stateless_normal(weight.shape, seed=(index, 3)))
    h, other, evidence = tf.random.stateless_normal((3, 3, 4, 4, 8), seed=(0, 0))
    prior, _ = cell.prior(h, SITE)
    ours, theirs = (cell.posterior(features, prior, evidence, SITE) for features in (h, other))
    np.testing.assert_array_equal(ours.loc, theirs.loc)
    # A posterior is at least as narrow as its prior.
    assert (ours.log_std.numpy() <= prior.log_std.numpy()).all()
