import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.training.optimizers import Adamax, AdamW
from pcvae.training.strategy import make_strategy

SHAPES = {"kernel": (3, 4), "bias": (4,), "scale": ()}


def initial_values():
    random = np.random.default_rng(0)
    return {name: np.float32(random.normal(size=shape)) for name, shape in SHAPES.items()}


def gradient_sequence(steps):
    random = np.random.default_rng(1)
    return [[np.float32(random.normal(size=s)) for s in SHAPES.values()] for _ in range(steps)]


def make_variables():
    return {name: keras.Variable(value, name=name) for name, value in initial_values().items()}


def values(variables):
    return [np.array(tf.convert_to_tensor(variable)) for variable in variables.values()]


def run(optimizer, gradients, strategy=None):
    """Applies a sequence of gradients inside tf.function; returns the last values."""
    strategy = strategy or make_strategy("one_device")
    with strategy.scope():
        variables = make_variables()
        optimizer.build(variables)

    @tf.function
    def step(index, gradients):
        strategy.run(lambda i, *g: optimizer.apply(g, i), args=(index, *gradients))

    for index, gradient in enumerate(gradients):
        step(tf.constant(index), [tf.constant(g) for g in gradient])
    return values(variables)


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (
            AdamW(1e-2, 0.9, 0.95, 1e-8, weight_decay=0.1, warmup_steps=0),
            keras.optimizers.AdamW(1e-2, 0.1, 0.9, 0.95, 1e-8),
        ),
        (
            Adamax(1e-2, 0.9, 0.999, 1e-8, warmup_steps=0),
            keras.optimizers.Adamax(1e-2, 0.9, 0.999, 1e-8),
        ),
    ],
)
def test_the_trajectory_is_that_of_keras(ours, theirs):
    gradients = gradient_sequence(50)
    variables = make_variables()
    theirs.build(list(variables.values()))
    for gradient in gradients:
        theirs.apply([tf.constant(g) for g in gradient])
    for got, expected in zip(run(ours, gradients), values(variables), strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-6)


def test_epsilon_is_added_after_the_bias_correction():
    """Kingma and Ba, algorithm 1, in float64, with an epsilon large enough to matter."""
    rate, beta_1, beta_2, epsilon, decay = 0.05, 0.8, 0.99, 0.3, 0.02
    gradients = gradient_sequence(30)
    expected = [np.float64(value) for value in initial_values().values()]
    m, v = ([np.zeros_like(value) for value in expected] for _ in range(2))
    for t, gradient in enumerate(gradients, start=1):
        for i, g in enumerate(np.float64(x) for x in gradient):
            m[i] = beta_1 * m[i] + (1 - beta_1) * g
            v[i] = beta_2 * v[i] + (1 - beta_2) * g**2
            m_hat, v_hat = m[i] / (1 - beta_1**t), v[i] / (1 - beta_2**t)
            expected[i] = expected[i] * (1 - rate * decay)
            expected[i] = expected[i] - rate * m_hat / (np.sqrt(v_hat) + epsilon)
    optimizer = AdamW(rate, beta_1, beta_2, epsilon, decay, warmup_steps=0)
    for got, value in zip(run(optimizer, gradients), expected, strict=True):
        np.testing.assert_allclose(got, value, atol=2e-6)


def test_the_first_step_of_a_warmup_fills_the_slots_and_moves_nothing():
    optimizer = AdamW(warmup_steps=100)
    got = run(optimizer, gradient_sequence(1))
    for value, start in zip(got, initial_values().values(), strict=True):
        assert value.tobytes() == start.tobytes()
    assert np.any(optimizer.state["m/kernel"].numpy())
    assert optimizer.state["updates_applied"].numpy() == 1


@pytest.mark.parametrize("optimizer_fn", [AdamW, Adamax])
def test_mirrored_replicas_stay_equal_and_equal_one_device(optimizer_fn):
    gradients = gradient_sequence(20)
    one = run(optimizer_fn(1e-2, warmup_steps=5), gradients)
    strategy = make_strategy("mirrored", ("CPU:0", "CPU:1"))
    optimizer = optimizer_fn(1e-2, warmup_steps=5)
    two = run(optimizer, gradients, strategy)
    for got, expected in zip(two, one, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)
    mirrored = [variable.value for variable in optimizer.variables.values()]
    for variable in [*mirrored, *optimizer.state.values()]:
        first, second = (copy.numpy() for copy in strategy.experimental_local_results(variable))
        assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("optimizer_fn", [AdamW, Adamax])
@pytest.mark.parametrize("bad", [1.0, float("nan"), float("inf")])
def test_an_inactive_step_changes_no_bit_and_leaves_no_trace(optimizer_fn, bad):
    gradients = gradient_sequence(6)
    expected = run(optimizer_fn(1e-2, weight_decay=0.1, warmup_steps=0), gradients)

    optimizer = optimizer_fn(1e-2, weight_decay=0.1, warmup_steps=0)
    variables = make_variables()
    optimizer.build(variables)

    @tf.function
    def step(gradients, active):
        optimizer.apply(gradients, 0, active, gradient_scale=1.0)

    for index, gradient in enumerate(gradients):
        before = values(variables) + values(optimizer.state)
        step([tf.fill(g.shape, np.float32(bad)) for g in gradient], tf.constant(False))
        after = values(variables) + values(optimizer.state)
        assert [a.tobytes() for a in after] == [b.tobytes() for b in before], index
        step([tf.constant(g) for g in gradient], tf.constant(True))
    for got, value in zip(values(variables), expected, strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-7)


def test_graph_nodes_for_each_variable_are_few():
    def nodes(count):
        optimizer = AdamW(weight_decay=0.01)
        variables = {f"v{i}": tf.Variable(tf.ones([2])) for i in range(count)}
        optimizer.build(variables)
        step = tf.function(lambda: optimizer.apply([tf.ones([2])] * count, 0))
        return len(step.get_concrete_function().graph.get_operations())

    assert (nodes(12) - nodes(2)) / 10 <= 8


def test_gradients_are_scaled_and_float64_works():
    def moved(scale, gradient):
        variable = tf.Variable(np.zeros(3), dtype=tf.float64)
        optimizer = AdamW(0.1, epsilon=1.0, weight_decay=0.0, warmup_steps=0)
        optimizer.build({"v": variable})
        optimizer.apply([tf.constant(gradient, tf.float64)], 0, gradient_scale=scale)
        return variable.numpy()

    np.testing.assert_allclose(moved(0.5, [1.0, 2.0, 4.0]), moved(1.0, [0.5, 1.0, 2.0]), rtol=1e-6)


def test_config_makes_an_equal_optimizer():
    for optimizer in (AdamW(1e-3, decay="cosine", decay_steps=500), Adamax(weight_decay=0.3)):
        again = type(optimizer)(**optimizer.get_config())
        assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize("name, value", [("beta_1", 1.0), ("epsilon", 0.0), ("weight_decay", -1.0)])
def test_wrong_values_are_named(name, value):
    with pytest.raises(UserError, match=name):
        AdamW(**{name: value})


def test_wrong_use_is_an_error():
    with make_strategy("mirrored", ("CPU:0", "CPU:1")).scope():
        mirrored = tf.Variable(1.0)
    with pytest.raises(ValueError, match="scope"):
        AdamW().build({"v": mirrored})
    optimizer = AdamW()
    optimizer.build([tf.Variable(1.0, name="a"), keras.Variable(1.0, name="b")])
    assert list(optimizer.variables) == ["a", "b"]
    with pytest.raises(ValueError, match="2 gradients"):
        optimizer.apply([tf.constant(1.0)], 0)
    with pytest.raises(ValueError, match="built already"):
        optimizer.build({"v": tf.Variable(1.0)})
    with pytest.raises(ValueError, match="different names"):
        AdamW().build([tf.Variable(1.0, name="a"), tf.Variable(1.0, name="a")])
