"""The constrained objectives: what they minimise, what they bound, what they refuse."""

import math
import re

import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.objectives import (
    ConstrainedDistortion,
    ConstrainedRate,
    NegativeELBO,
    ProgressiveCoding,
    lagrangian,
    mse,
)
from pcvae.outputs import Constraint, ObjectiveTerms, VDVAEOutput

SHAPE = (2, 2, 3)
DIMS = 12
RATES = np.array([[1.0, 0.0, 6.0], [2.0, 0.5, 0.1]], np.float32)
IMAGES = np.random.default_rng(0).integers(0, 256, (2, *SHAPE), dtype=np.uint8)


def output(**prefix_reconstructions):
    prefixes = {int(k[1:]): tf.fill((2, *SHAPE), v) for k, v in prefix_reconstructions.items()}
    own = tf.zeros((2, *SHAPE))
    return VDVAEOutput(None, own, (), tf.constant(RATES), None, prefixes)


def test_rate_objective():
    terms = ConstrainedRate(0.25)(output(), IMAGES, 0)
    np.testing.assert_array_equal(terms.loss, mse(IMAGES, tf.zeros((2, *SHAPE))))
    np.testing.assert_allclose(terms.constraint_gaps, (RATES.sum(1) / DIMS - 0.25)[:, None], 1e-5)
    np.testing.assert_allclose(terms.rate, RATES.sum(axis=1))


def test_distortion_objective():
    terms = ConstrainedDistortion(0.25)(output(), IMAGES, 0)
    np.testing.assert_allclose(terms.loss, RATES.sum(axis=1) / DIMS, rtol=1e-6)
    np.testing.assert_allclose(terms.constraint_gaps[:, 0], terms.distortion - 0.25, rtol=1e-5)


def test_progressive_objective_sums_distortions_and_bounds_the_rate_of_every_prefix():
    terms = ProgressiveCoding([0.1, 0.2, 0.3])(output(k1=0.5, k2=-0.5), IMAGES, 0)
    parts = [mse(IMAGES, tf.fill((2, *SHAPE), value)) for value in (0.5, -0.5, 0.0)]
    np.testing.assert_allclose(terms.loss, sum(parts), rtol=1e-6)
    np.testing.assert_allclose(terms.distortion, parts[2])
    expected = np.cumsum(RATES, axis=1) / DIMS - [0.1, 0.2, 0.3]
    np.testing.assert_allclose(terms.constraint_gaps, expected, atol=1e-6)
    np.testing.assert_allclose(terms.metrics["distortion/prefix_001_mse"], parts[0])
    np.testing.assert_allclose(terms.rate, RATES.sum(axis=1))


def test_one_group_is_the_rate_objective():
    progressive = ProgressiveCoding([0.1])(output(), IMAGES, 0)
    plain = ConstrainedRate(0.1)(output(), IMAGES, 0)
    np.testing.assert_array_equal(progressive.loss, plain.loss)
    np.testing.assert_array_equal(progressive.constraint_gaps, plain.constraint_gaps)


def test_constraints_name_quantity_target_and_prefix():
    def constraints(objective, **prefix_reconstructions):
        return objective(output(**prefix_reconstructions), IMAGES, 0).constraints

    assert constraints(ConstrainedRate(0.5)) == (Constraint("rate_nats_per_dim", 0.5),)
    assert constraints(ConstrainedDistortion(0.5)) == (Constraint("distortion_mse", 0.5),)
    assert constraints(ProgressiveCoding([0.5, 0.6]), k1=0.0) == (
        Constraint("rate_nats_per_dim", 0.5, 1),
        Constraint("rate_nats_per_dim", 0.6, 3),
    )


def test_the_lagrangian_weighs_each_gap_and_keeps_the_size_of_the_gradient():
    gaps = tf.constant([[0.5, -1.0], [0.1, 0.2]])
    terms = ObjectiveTerms(tf.constant([2.0, 4.0]), None, None, {}, gaps)
    found = lagrangian(terms, tf.constant([3.0, 0.5]))
    each = np.array([2.0 + 3.0 * 0.5 - 0.5 * 1.0, 4.0 + 3.0 * 0.1 + 0.5 * 0.2])
    np.testing.assert_allclose(found, each.mean() / (1.0 + 3.5), rtol=1e-6)
    assert lagrangian(terms, None) == 3.0


def test_targets_in_other_units():
    assert ConstrainedRate(rate_target_bits_per_dim=0.5).target == 0.5 * math.log(2.0)
    # 20 dB below a peak-to-peak of 2, whose square is 4
    psnr = ConstrainedDistortion(distortion_target_psnr_db=20.0)
    np.testing.assert_allclose(psnr.target, 0.04, rtol=1e-12)
    progressive = ProgressiveCoding(rate_targets_bits_per_dim=[0.5, 1.0])
    np.testing.assert_allclose(progressive.targets, np.log(2.0) * np.array([0.5, 1.0]))


@pytest.mark.parametrize("value", [0, 0.0, -0.1, math.nan, math.inf, True, "0.1"])
def test_targets_that_mean_nothing(value):
    for make in (
        lambda: ConstrainedRate(value),
        lambda: ConstrainedRate(rate_target_bits_per_dim=value),
        lambda: ConstrainedDistortion(value),
        lambda: ConstrainedDistortion(distortion_target_psnr_db=value),
        lambda: ProgressiveCoding([value]),
    ):
        with pytest.raises(UserError, match=f"target.*: .* 0, got {value!r}"):
            make()


def test_targets_beyond_any_image():
    with pytest.raises(UserError, match="distortion_target_psnr_db: .* 90, got 5000"):
        ConstrainedDistortion(distortion_target_psnr_db=5000)
    for value in (1e-40, 1e39):
        with pytest.raises(UserError, match=rf"rate_target.*: .*got {re.escape(repr(value))}"):
            ConstrainedRate(value)


def test_exactly_one_target():
    for make, got in (
        (ConstrainedRate, "none"),
        (ConstrainedDistortion, "none"),
        (ProgressiveCoding, "none"),
        (lambda: ConstrainedRate(0.1, 0.1), "both"),
        (lambda: ConstrainedDistortion(0.1, 20.0), "both"),
        (lambda: ProgressiveCoding([0.1], [0.1]), "both"),
    ):
        with pytest.raises(UserError, match=f"target.* or .*target.*got {got}"):
            make()


def test_progressive_targets_grow_and_fit_the_model():
    for targets in ([0.2, 0.1], [0.1, 0.1]):
        with pytest.raises(UserError, match=f"rate_targets.*: .*got {re.escape(str(targets))}"):
            ProgressiveCoding(targets)
    for targets in ([], 0.1, "0.1"):
        with pytest.raises(UserError, match=f"rate_targets.*: .*got {re.escape(repr(targets))}"):
            ProgressiveCoding(targets)
    with pytest.raises(UserError, match=r"3 rate targets, but the model decodes 2 .*K = 2, 3"):
        ProgressiveCoding([0.1, 0.2, 0.3])(output(k2=0.0), IMAGES, 0)


@pytest.mark.parametrize(
    "objective", [NegativeELBO(), ConstrainedRate(0.1), ConstrainedDistortion(0.1)]
)
def test_objectives_of_one_decoder_refuse_models_with_more(objective):
    with pytest.raises(UserError, match=r"prefix_decoders \(K = 1, 2\): .* ProgressiveCoding"):
        objective(output(k1=0.0, k2=0.0)._replace(nll=tf.zeros(2)), IMAGES, 0)
