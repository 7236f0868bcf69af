"""Constrained training reaches its target on the rate-distortion curve where that is known."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae import training
from pcvae.errors import UserError
from pcvae.objectives import (
    ConstrainedDistortion,
    ConstrainedRate,
    LagrangeMultiplier,
    NegativeELBO,
)
from pcvae.outputs import Constraint
from tests.training import linear_gaussian

pytestmark = pytest.mark.slow

NUM_STEPS = 2500


def run(objective, multiplier=None, num_steps=NUM_STEPS, strategy=None, batch_size=256):
    strategy = strategy or training.make_strategy("one_device")
    with strategy.scope():
        trainer = linear_gaussian.make_trainer(objective, multiplier, num_steps)
    results = linear_gaussian.train(trainer, num_steps, batch_size, strategy)
    return trainer, results


# The raw multiplier of `lagrangian` moves by its learning rate at each step, so that the rate fits
# one order of magnitude only; `geco` takes its defaults everywhere.
GECO = {"rule": "geco"}
RATE_LAGRANGIAN = {
    "rule": "lagrangian",
    "initial": 0.01,
    "learning_rate": 1e-4,
    "minimum": 1e-5,
}
DISTORTION_LAGRANGIAN = {
    "rule": "lagrangian",
    "initial": 100.0,
    "learning_rate": 0.5,
    "maximum": 1000.0,
}


@pytest.mark.parametrize(
    ("target_nats_per_dim", "rule"),
    [(1.0, GECO), (0.6, RATE_LAGRANGIAN)],
)
def test_a_rate_target_is_met_at_the_least_distortion(target_nats_per_dim, rule):
    trainer, _ = run(ConstrainedRate(target_nats_per_dim), LagrangeMultiplier(**rule))
    rate, mse = trainer.averaged_model.rate_and_mse()
    np.testing.assert_allclose(rate, target_nats_per_dim, rtol=0.03)
    optimum = linear_gaussian.optimal_mse(rate)
    assert optimum * 0.999 <= mse <= optimum * 1.03


@pytest.mark.parametrize(
    ("target_mse", "rule"),
    [(0.01, GECO), (0.004, DISTORTION_LAGRANGIAN)],
)
def test_a_distortion_target_is_met_at_the_least_rate(target_mse, rule):
    trainer, _ = run(ConstrainedDistortion(target_mse), LagrangeMultiplier(**rule))
    rate, mse = trainer.averaged_model.rate_and_mse()
    np.testing.assert_allclose(mse, target_mse, rtol=0.03)
    optimum = linear_gaussian.optimal_mse(rate)
    assert optimum * 0.999 <= mse <= optimum * 1.03


def test_the_water_filling_curve_is_that_of_one_gaussian_where_one_component_is_coded():
    """Above the second variance only the first component is coded: D falls as exp(-2 * 4 R)."""
    variances = np.sort(np.linalg.eigvalsh(linear_gaussian.covariance()))[::-1]
    for theta in (variances[1] * 1.5, variances[1] * 3.0):
        rate, mse = linear_gaussian.curve_point(theta)
        first = variances[0] * np.exp(-2.0 * linear_gaussian.DIMS * rate)
        np.testing.assert_allclose(mse, (first + variances[1:].sum()) / linear_gaussian.DIMS)
        np.testing.assert_allclose(linear_gaussian.optimal_mse(rate), mse, rtol=1e-3)


def test_a_distortion_below_what_the_model_can_do_stays_finite_and_unmet():
    """Rounding to 255 levels alone costs 2e-5 / 4 here; noise of the smallest scale costs more."""
    multiplier = LagrangeMultiplier(learning_rate=0.05, maximum=1e4)
    trainer, results = run(ConstrainedDistortion(1e-9), multiplier, num_steps=400)
    assert float(results["lagrange/constraint_gap"]) > 0.0
    assert float(results["lagrange/multiplier"]) == 1e4
    assert np.isfinite(trainer.averaged_model.rate_and_mse()).all()


def test_a_rate_that_the_model_does_not_use_leaves_slack_and_the_smallest_multiplier():
    multiplier = LagrangeMultiplier(learning_rate=0.05, minimum=1e-4)
    _, results = run(ConstrainedRate(50.0), multiplier, num_steps=400)
    assert float(results["lagrange/constraint_gap"]) < 0.0
    np.testing.assert_allclose(results["lagrange/multiplier"], 1e-4)


def state_of(trainer):
    return {
        f"{group}/{name}": np.asarray(tf.convert_to_tensor(variable))
        for group, variables in trainer.state.items()
        for name, variable in variables.items()
    }


def test_two_logical_devices_equal_one():
    results = {}
    for name, strategy in (
        ("one", training.make_strategy("one_device")),
        ("two", training.make_strategy("mirrored", ("CPU:0", "CPU:1"))),
    ):
        multiplier = LagrangeMultiplier(learning_rate=0.05)
        trainer, last = run(ConstrainedRate(0.4), multiplier, 20, strategy, batch_size=32)
        results[name] = state_of(trainer), last
    (expected, expected_last), (values, last) = results["one"], results["two"]
    assert values.keys() == expected.keys()
    assert expected["lagrange/values"] != 1.0
    for name in expected:
        np.testing.assert_allclose(values[name], expected[name], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        last["lagrange/constraint_gap"], expected_last["lagrange/constraint_gap"], rtol=1e-4
    )


def test_resuming_continues_the_multiplier_bit_by_bit(tmp_path):
    strategy = training.make_strategy("one_device")

    def make():
        multiplier = LagrangeMultiplier("lagrangian", learning_rate=0.05)
        return linear_gaussian.make_trainer(ConstrainedRate(0.4), multiplier, 40)

    with strategy.scope():
        whole, first, second = make(), make(), make()
    linear_gaussian.train(whole, 40, strategy=strategy)
    linear_gaussian.train(first, 17, strategy=strategy)
    training.Checkpoints(tmp_path, first.state).save(17)
    assert training.Checkpoints(tmp_path, second.state).restore_newest() == 17
    linear_gaussian.train(second, 23, strategy=strategy)
    expected, values = state_of(whole), state_of(second)
    assert (expected["lagrange/values"] != 1.0).all()
    for name in expected:
        np.testing.assert_array_equal(values[name], expected[name])


def test_the_multiplier_uses_the_gap_of_the_whole_batch_and_the_value_before_its_move():
    trainer, results = run(ConstrainedRate(0.4), LagrangeMultiplier(initial=2.0), num_steps=1)
    gap = float(results["lagrange/constraint_gap"])
    rate = float(results["rate/total_bits_per_dim"]) * np.log(2.0)
    np.testing.assert_allclose(gap, rate - 0.4, rtol=1e-5)
    average = 0.01 * min(gap / 0.4, 1.0)
    speed = 0.01 if average > 0 else 0.02
    np.testing.assert_allclose(
        results["lagrange/multiplier"], 2.0 * np.exp(speed * average), rtol=1e-6
    )
    np.testing.assert_allclose(results["loss"], results["distortion/mse"], rtol=1e-6)
    np.testing.assert_allclose(results["lagrange/target"], 0.4)


def test_a_multiplier_without_a_constraint_is_refused():
    models = linear_gaussian.LinearGaussianModel(), linear_gaussian.LinearGaussianModel()
    update = training.GradientUpdate(training.AdamW())
    with pytest.raises(UserError, match="NegativeELBO has no constraints for a multiplier"):
        training.Trainer(*models, NegativeELBO(), update, multiplier=LagrangeMultiplier())
    assert training.Trainer(*models, NegativeELBO(), update).multiplier is None


def test_the_constraints_are_known_before_the_first_step():
    trainer = linear_gaussian.make_trainer(ConstrainedRate(0.4), None, 1)
    assert trainer.constraints() == (Constraint("rate_nats_per_dim", 0.4),)
    assert trainer.steps_taken == 0
