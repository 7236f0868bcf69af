"""A posterior relative to its prior: the closed form of its rate, for any prior and any cell."""

import copy

import numpy as np
import pytest
import tensorflow as tf

from pcvae.distributions.gaussian import DiagonalGaussian, rate_map_nats
from pcvae.errors import UserError
from pcvae.layers.cells import ResidualPosterior, Site
from pcvae.models import VDVAE, LadderVAE, load_reference_weights
from tests.models import tiny

pytestmark = pytest.mark.usefixtures("eagerly")
SHAPE = (3, 4, 4, 2)
SITE = Site(tf.constant(0), SHAPE)


class Fixed:
    """A cell whose networks return what they are given."""

    def __init__(self, prior, shift):
        self._prior, self._shift = prior, shift

    def prior(self, h, site):
        return self._prior, h

    def posterior(self, h, prior, evidence, site):
        return self._shift

    def absorb(self, h, latent):
        return h + latent


def prior_and_posterior(prior, shift):
    cell = ResidualPosterior(Fixed(prior, shift))
    prior, _ = cell.prior(tf.zeros(SHAPE), SITE)
    return prior, cell.posterior(tf.zeros(SHAPE), prior, None, SITE)


def gaussian(seed, scale=1.0):
    mean, log_std = scale * tf.random.stateless_normal((2, *SHAPE), seed=(seed, 1))
    return DiagonalGaussian(mean, log_std)


def test_its_rate_is_that_of_the_shift_and_the_scale():
    shift = gaussian(1)
    prior, posterior = prior_and_posterior(gaussian(0), shift)
    moved, factor = shift.loc / tf.exp(prior.log_std), tf.exp(2.0 * shift.log_std)
    expected = 0.5 * (moved**2 + factor - tf.math.log(factor) - 1.0)
    np.testing.assert_allclose(rate_map_nats(posterior, prior), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(posterior.mean(), prior.mean() + shift.mean(), rtol=1e-6)
    np.testing.assert_allclose(posterior.stddev(), prior.stddev() * shift.stddev(), rtol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
def test_no_shift_and_no_scale_cost_exactly_nothing_whatever_the_prior(scale):
    nothing = DiagonalGaussian(tf.zeros(SHAPE), tf.zeros(SHAPE))
    prior, posterior = prior_and_posterior(gaussian(2, scale), nothing)
    np.testing.assert_array_equal(rate_map_nats(posterior, prior), np.zeros(SHAPE))


def test_a_posterior_moves_with_its_prior():
    """Of a whole model: without a shift of its own, q is p, and a sample of q one of p."""
    model = tiny.vdvae(posterior="residual", head="gaussian")
    for name, weight in model.named_weights.items():
        if "posterior_c4" in name:
            weight.assign(tf.zeros_like(weight))
    output = model(tiny.random_images(3), keep_latents=True)
    np.testing.assert_array_equal(output.rate_per_level, np.zeros((3, 2)))
    absolute = VDVAE.from_config({**model.get_config(), "posterior": None})
    absolute.set_weights(model.get_weights())
    assert (absolute(tiny.random_images(3)).rate_per_level.numpy() > 0).all()


def test_it_is_kept_with_the_model():
    model = tiny.vdvae(posterior="residual", head="gaussian")
    images = tiny.random_images(2)
    again = copy.deepcopy(model)
    assert again.decoder.posterior == "residual"
    np.testing.assert_array_equal(again(images).rate_per_level, model(images).rate_per_level)


@pytest.mark.parametrize(
    ("model_class", "given", "message"),
    [
        (VDVAE, "typo", "posterior: a VDVAECell takes absolute or residual, got 'typo'"),
        (VDVAE, ["residual"], "posterior: a VDVAECell takes absolute or residual, got"),
        (LadderVAE, "residual", "posterior: a LadderCell takes absolute, got 'residual'"),
    ],
)
def test_what_has_no_meaning_for_a_cell_is_one_line(model_class, given, message):
    with pytest.raises(UserError, match=message):
        model_class(**{**tiny.ARGUMENTS, "posterior": given})


def test_weights_of_the_reference_are_for_absolute_posteriors_alone():
    with pytest.raises(UserError, match="the reference is a VDVAE of posterior='absolute'"):
        load_reference_weights(tiny.vdvae(posterior="residual", head="gaussian"), {})
