"""Soft shares: the weights against their formula, and that they pull shares into their bands."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.objectives import KLShares, NegativeELBO
from pcvae.outputs import VDVAEOutput

SHAPE, DIMS = (2, 2, 3), 12
IMAGES = tf.zeros((1, *SHAPE), tf.uint8)


def output(rates, surrogate=None):
    nll = tf.fill([len(rates)], 24.0)
    reconstruction = tf.zeros((len(rates), *SHAPE))
    rates = tf.convert_to_tensor(rates, tf.float32)
    return VDVAEOutput(None, reconstruction, (), rates, nll, surrogate=surrogate)


@pytest.mark.parametrize(
    ("share", "weight"),
    [(0.0, 0.1), (0.01, 0.1), (0.05, 0.5), (0.1, 1.0), (0.2, 1.0), (0.25, 1.5), (0.3, 2.0)],
)
def test_the_weight_follows_the_share(share, weight):
    objective = KLShares(shares_percent=[10.0, 60.0])
    rates = 7.0 * np.array([[share, 1.0 - share]], np.float32)
    np.testing.assert_allclose(objective.weights(rates)[0, 0], weight, rtol=1e-5)


def test_within_the_bands_it_is_the_elbo():
    rates = [[3.0, 7.0]]
    found = KLShares([20.0, 50.0])(output(rates), IMAGES, 0)
    expected = NegativeELBO()(output(rates), IMAGES, 0)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-6)
    np.testing.assert_allclose(found.rate, [10.0], rtol=1e-6)
    np.testing.assert_allclose(found.metrics["share/level_000_percent"], [30.0], rtol=1e-6)


def test_no_gradient_goes_through_the_weights():
    rates = tf.constant([[1.0, 9.0]])
    objective = KLShares([20.0, 30.0])  # 0.1 is half of the first, 0.9 the threefold of the second
    with tf.GradientTape() as tape:
        tape.watch(rates)
        loss = objective(output(rates), IMAGES, 0).loss
    np.testing.assert_allclose(tape.gradient(loss, rates) * DIMS, [[0.5, 2.0]], rtol=1e-5)


def test_it_trains_on_what_the_head_puts_in_place_of_the_likelihood():
    found = KLShares([20.0, 50.0])(output([[3.0, 7.0]], tf.constant([5.0])), IMAGES, 0)
    np.testing.assert_allclose(found.loss, [15.0 / DIMS], rtol=1e-6)
    np.testing.assert_allclose(
        found.metrics["negative_elbo/bits_per_dim"], 34.0 / DIMS / np.log(2), rtol=1e-6
    )


def test_a_share_is_divided_evenly_among_its_levels():
    objective = KLShares([10.0, 40.0], levels_per_share=[2, 4])
    np.testing.assert_allclose(objective.least_shares, [0.05] * 2 + [0.1] * 4)


@pytest.mark.parametrize(
    ("arguments", "name", "got"),
    [
        ({"shares_percent": []}, "shares_percent", r"\[\]"),
        ({"shares_percent": [60.0, 50.0]}, "shares_percent", "110"),
        ({"shares_percent": [0.0]}, "shares_percent", "0.0"),
        ({"shares_percent": 5.0}, "shares_percent", "5.0"),
        ({"shares_percent": [5.0], "levels_per_share": [1, 2]}, "levels_per_share", r"\[1, 2\]"),
        ({"shares_percent": [5.0], "levels_per_share": [0]}, "levels_per_share", "0"),
    ],
)
def test_bad_shares_are_named(arguments, name, got):
    with pytest.raises(UserError, match=f"{name}.*got {got}"):
        KLShares(**arguments)


def test_another_number_of_levels_is_named():
    with pytest.raises(UserError, match="shares for 3 levels, but the model has 2"):
        KLShares([1.0, 2.0, 3.0])(output([[3.0, 7.0]]), IMAGES, 0)
