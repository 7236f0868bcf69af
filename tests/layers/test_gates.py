"""What lets a condition into a top-down pass: gates and label maps."""

import keras
import numpy as np
import tensorflow as tf

from pcvae.layers import DeterministicLevel, Gate, LabelMaps, Stack


def normal(shape, seed):
    return tf.random.stateless_normal(shape, seed=(seed, 0))


def test_a_gate_is_closed_at_first_and_then_weighs_each_channel():
    gate = Gate(3)
    gate.build()
    features, condition = normal((2, 4, 4, 3), 0), normal((2, 1, 1, 3), 1)
    np.testing.assert_array_equal(gate(features, condition), features)
    gate.kernel.assign([1.0, 0.0, -2.0])
    expected = features + np.array([1.0, 0.0, -2.0], np.float32) * condition
    np.testing.assert_allclose(gate(features, condition), expected, atol=1e-6)


def test_a_closed_gate_has_a_gradient():
    gate = Gate(3)
    gate.build()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(gate(normal((2, 4, 4, 3), 0), tf.ones((2, 4, 4, 3))))
    np.testing.assert_allclose(tape.gradient(total, gate.kernel.value), [32.0] * 3)


def test_label_maps_hold_one_vector_for_each_class_and_resolution():
    maps = LabelMaps(4, {1: 2, 8: 3})
    again = LabelMaps.from_config(maps.get_config())
    for layer in (maps, again):
        layer.build()
        given = layer(tf.constant([3, 0, 3]))
        assert {side: values.shape.as_list() for side, values in given.items()} == {
            1: [3, 1, 1, 2],
            8: [3, 1, 1, 3],
        }
        np.testing.assert_array_equal(given[8][0], given[8][2])
        np.testing.assert_array_equal(given[8][:2, 0, 0], tf.gather(layer.tables["8"], [3, 0]))


def test_gates_follow_the_precision_of_the_policy():
    gate = Gate(3, dtype="mixed_bfloat16")
    gate.build()
    assert gate(tf.ones((1, 2, 2, 3), tf.bfloat16), tf.ones((1, 2, 2, 3))).dtype == tf.bfloat16
    assert gate.kernel.dtype == "float32"


def test_a_stack_holds_one_gate_a_level_looped_and_written_out_alike():
    x, condition = normal((2, 2, 2, 4), 0), normal((2, 2, 2, 4), 1)

    def step(level, x):
        return level(level.enter(x, condition)), ()

    results = []
    for unroll in (False, True):
        block = DeterministicLevel(4, 2, kernel_size=1, gated=True, name="level")
        stack = Stack(block, 3, unroll=unroll)
        stack.build((None, 2, 2, 4))
        assert stack.level_weight("condition_gate_kernel").shape == (3, 4)
        for index, weight in enumerate(stack.weights):
            weight.assign(normal(weight.shape, index + 2))
        with tf.GradientTape() as tape:
            output = stack.scan(step, x)[0]
            loss = tf.reduce_sum(output**2)
        gates = stack.level_weight("condition_gate_kernel").value
        results.append((output, tape.gradient(loss, gates)))
    for looped, unrolled in zip(*results, strict=True):
        np.testing.assert_allclose(looped, unrolled, rtol=1e-4, atol=1e-5)


def test_gated_levels_come_back_from_their_configuration():
    level = DeterministicLevel(4, 2, gated=True)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(level))
    assert again.gated
    assert again.get_config() == level.get_config()
