"""The negative ELBO and its variations, against their formulas."""

import math

import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.objectives import NegativeELBO, mse
from pcvae.outputs import VDVAEOutput

SHAPE = (2, 2, 3)
DIMS = 12
RATES = np.array([[1.0, 0.0, 6.0], [2.0, 0.5, 0.1]], np.float32)
NLL = np.array([24.0, 36.0], np.float32)
IMAGES = np.array([[0] * DIMS, [255] * DIMS], np.uint8).reshape(2, *SHAPE)


def output(nll=NLL):
    return VDVAEOutput(None, tf.zeros((2, *SHAPE)), (), tf.constant(RATES), nll)


def terms(step=0, **arguments):
    return NegativeELBO(**arguments)(output(), tf.constant(IMAGES), step)


def test_plain_bound():
    np.testing.assert_allclose(terms().loss, (NLL + RATES.sum(axis=1)) / DIMS, rtol=1e-6)
    np.testing.assert_allclose(
        terms().metrics["negative_elbo/bits_per_dim"],
        (NLL + RATES.sum(axis=1)) / DIMS / math.log(2),
        rtol=1e-6,
    )


def test_beta_weighs_the_rate_alone():
    np.testing.assert_allclose(
        terms(beta=3.0).loss, (NLL + 3 * RATES.sum(axis=1)) / DIMS, rtol=1e-6
    )


@pytest.mark.parametrize(("step", "weight"), [(0, 0.1), (4, 0.5), (9, 1.0), (1000, 1.0)])
def test_warmup_is_linear_and_ends(step, weight):
    found = terms(step=tf.constant(step, tf.int64), kl_warmup_steps=10, beta=2.0)
    np.testing.assert_allclose(found.loss, (NLL + 2 * weight * RATES.sum(axis=1)) / DIMS, rtol=1e-6)


def test_free_bits_are_a_floor_for_each_level():
    found = terms(free_bits_nats_per_level=1.5)
    np.testing.assert_allclose(found.loss, (NLL + [1.5 + 1.5 + 6, 2 + 1.5 + 1.5]) / DIMS, rtol=1e-6)


def test_free_bits_stop_the_gradient_below_the_floor():
    rates = tf.constant(RATES)
    with tf.GradientTape() as tape:
        tape.watch(rates)
        record = VDVAEOutput(None, tf.zeros((2, *SHAPE)), (), rates, tf.constant(NLL))
        loss = NegativeELBO(free_bits_nats_per_level=1.5)(record, tf.constant(IMAGES), 0).loss
    gradient = tape.gradient(loss, rates)
    np.testing.assert_allclose(gradient, (RATES > 1.5) / DIMS, rtol=1e-6)


def test_options_never_touch_what_is_reported():
    plain = terms()
    for arguments in ({"beta": 7.0}, {"kl_warmup_steps": 9}, {"free_bits_nats_per_level": 4.0}):
        found = terms(**arguments)
        np.testing.assert_array_equal(found.rate, plain.rate)
        np.testing.assert_array_equal(found.distortion, plain.distortion)
        for name, values in plain.metrics.items():
            np.testing.assert_array_equal(found.metrics[name], values)


def test_mse_is_on_minus_one_to_one():
    np.testing.assert_allclose(mse(IMAGES, tf.ones((2, *SHAPE))), [4.0, 0.0])


@pytest.mark.parametrize("name", ["beta", "kl_warmup_steps", "free_bits_nats_per_level"])
def test_negative_options_are_refused(name):
    with pytest.raises(UserError, match=f"{name}: .*got -1"):
        NegativeELBO(**{name: -1})


def test_a_head_without_likelihood_names_the_remedy():
    with pytest.raises(UserError, match="logistic_mixture"):
        NegativeELBO()(output(nll=None), tf.constant(IMAGES), 0)
