"""The rules by which multipliers move, against their formulas."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.objectives import LagrangeMultiplier


def built(num_constraints=1, **arguments):
    multiplier = LagrangeMultiplier(**arguments)
    multiplier.build([1.0] * num_constraints)
    return multiplier


def move(multiplier, gaps):
    return [multiplier.update(tf.constant(gap, tf.float32)).numpy() for gap in gaps]


def test_the_published_constants_of_lagrangian():
    multiplier = LagrangeMultiplier("lagrangian")
    assert multiplier.initial == 1.0
    assert multiplier.learning_rate == 1e-4
    assert (multiplier.minimum, multiplier.maximum) == (1e-3, 100.0)


def test_lagrangian_is_rmsprop_ascent_as_keras_computes_it():
    import keras

    gaps = [[0.5, -0.2], [0.1, -0.9], [-0.3, 2.0]]
    multiplier = built(2, rule="lagrangian", learning_rate=0.01)
    variable = keras.Variable([1.0, 1.0])
    optimizer = keras.optimizers.RMSprop(0.01, rho=0.9, epsilon=1e-7)
    for gap, values in zip(gaps, move(multiplier, gaps), strict=True):
        optimizer.apply([-tf.constant(gap)], [variable])
        np.testing.assert_allclose(values, variable.numpy(), rtol=1e-5)


def test_geco_moves_the_logarithm_by_the_moving_average():
    multiplier = built(learning_rate=0.1, average_decay=0.5, satisfied_speedup=3.0)
    average, log_value = 0.0, 0.0
    for gap, (value,) in zip(
        [0.4, -0.9, -0.1, 0.8], move(multiplier, [[0.4], [-0.9], [-0.1], [0.8]]), strict=True
    ):
        average = 0.5 * average + 0.5 * gap
        log_value += 0.1 * average * (3.0 if average < 0 else 1.0)
        np.testing.assert_allclose(value, np.exp(log_value), rtol=1e-5)


def test_geco_counts_a_batch_that_is_far_off_as_one():
    far, one = built(), built()
    np.testing.assert_array_equal(move(far, [[1e6]]), move(one, [[1.0]]))


@pytest.mark.parametrize("rule", ["lagrangian", "geco"])
def test_gaps_count_relative_to_their_targets(rule):
    multiplier = LagrangeMultiplier(rule)
    multiplier.build([0.5, 4.0])
    np.testing.assert_array_equal(
        move(multiplier, [[0.125, -2.0]]), move(built(2, rule=rule), [[0.25, -0.5]])
    )


@pytest.mark.parametrize("rule", ["lagrangian", "geco"])
def test_a_violated_constraint_raises_its_own_multiplier_alone(rule):
    multiplier = built(3, rule=rule)
    (values,) = move(multiplier, [[0.5, -0.5, 0.0]])
    assert values[0] > 1.0 > values[1]
    assert values[2] == 1.0


@pytest.mark.parametrize("rule", ["lagrangian", "geco"])
def test_values_stay_in_their_range(rule):
    multiplier = built(2, rule=rule, learning_rate=5.0, minimum=0.5, maximum=2.0, average_decay=0.0)
    for values in move(multiplier, [[1.0, -1.0]] * 5):
        assert ((values >= 0.5) & (values <= 2.0)).all()
    np.testing.assert_array_equal(values, [2.0, 0.5])


@pytest.mark.parametrize("rule", ["lagrangian", "geco"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gap_that_is_not_finite_moves_nothing(rule, bad):
    multiplier, other = built(2, rule=rule), built(2, rule=rule)
    (values,) = move(multiplier, [[bad, 0.3]])
    (expected,) = move(other, [[0.0, 0.3]])
    assert values[0] == 1.0
    assert values[1] == expected[1]
    assert np.isfinite(multiplier.state["average"].numpy()).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "adam"}, "expected one of lagrangian, geco, got 'adam'"),
        ({"learning_rate": 0.0}, "learning_rate: expected a number above 0, got 0.0"),
        ({"initial": 0.0}, "initial: .*got 0.0"),
        ({"initial": 2e9}, "minimum <= initial <= maximum.*got .*2000000000.0"),
        ({"minimum": 2.0}, "minimum <= initial <= maximum"),
        ({"average_decay": 1.0}, r"expected a number in \[0, 1\), got 1.0"),
        ({"satisfied_speedup": -1.0}, "satisfied_speedup: expected a number above 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(UserError, match=message):
        LagrangeMultiplier(**arguments)
