"""Convolutions of gelus against TensorFlow's own, with the gradient that it finds itself."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae.layers.gelu_convolutions import convolve, gelu_convolutions

SIDES, WIDTHS = (1, 3, 1), (6, 4, 5, 3)


def plain(x, kernels, biases):
    for kernel, bias in zip(kernels, biases, strict=True):
        x = tf.nn.conv2d(tf.nn.gelu(x, approximate=False), kernel, 1, "SAME") + bias
    return x


def inputs(dtype=tf.float32):
    def draw(*shape):
        values = np.random.default_rng(len(shape)).normal(size=shape)
        return tf.constant(values, dtype)

    sizes = zip(SIDES, WIDTHS[:-1], WIDTHS[1:], strict=True)
    kernels = [0.5 * draw(side, side, before, after) for side, before, after in sizes]
    # Zeros, where many activations start, and both ends of the gelu.
    x = tf.concat([tf.zeros((1, 5, 4, 6), dtype), draw(1, 5, 4, 6), 4.0 * draw(1, 5, 4, 6)], 0)
    return x, kernels, [draw(width) for width in WIDTHS[1:]]


def value_and_gradients(chain, x, kernels, biases):
    with tf.GradientTape() as tape:
        tape.watch([x, kernels, biases])
        end = chain(x, kernels, biases)
        loss = tf.reduce_sum(tf.sqrt(1.0 + tf.square(tf.cast(end, tf.float64))))
    return [end, *tf.nest.flatten(tape.gradient(loss, [x, kernels, biases]))]


def assert_close(actual, expected, of_largest):
    for one, other in zip(actual, expected, strict=True):
        other = tf.cast(other, tf.float64).numpy()
        limit = of_largest * np.abs(other).max()
        assert limit > 0
        np.testing.assert_allclose(tf.cast(one, tf.float64), other, rtol=0, atol=limit)


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize(
    ("dtype", "of_largest"), [(tf.float32, 1e-6), (tf.float64, 1e-6), (tf.bfloat16, 5e-2)]
)
def test_values_and_gradients_are_those_of_the_plain_chain(dtype, of_largest, in_graph):
    run = tf.function(value_and_gradients, autograph=False) if in_graph else value_and_gradients
    actual = run(gelu_convolutions, *inputs(dtype))
    assert {tensor.dtype for tensor in actual} == {dtype}
    assert_close(actual, value_and_gradients(plain, *inputs(dtype)), of_largest)


def test_a_second_derivative_is_that_of_the_plain_chain():
    def second(chain):
        x, kernels, biases = inputs()
        with tf.GradientTape() as tape:
            tape.watch([x, kernels, biases])
            gradients = value_and_gradients(chain, x, kernels, biases)[1:]
            loss = tf.add_n([tf.reduce_sum(tf.square(gradient)) for gradient in gradients])
        return tf.nest.flatten(tape.gradient(loss, [x, kernels, biases]))

    assert_close(second(gelu_convolutions), second(plain), of_largest=1e-5)


def test_far_from_zero_nothing_overflows():
    x = tf.constant([-1e30, -40.0, 40.0, 1e30])[None, None, :, None]
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = gelu_convolutions(x, [tf.ones((1, 1, 1, 1))], [tf.zeros(1)])
    np.testing.assert_array_equal(y, tf.nn.relu(x))
    np.testing.assert_array_equal(tf.squeeze(tape.gradient(y, x)), [0.0, 0.0, 1.0, 1.0])


def test_only_a_tape_puts_a_gradient_into_the_graph():
    """So an export needs nothing of it, and the batch may be known at run time alone."""
    x, kernels, biases = inputs()
    spec = tf.TensorSpec((None, *x.shape[1:]))
    run = tf.function(lambda x: gelu_convolutions(x, kernels, biases), autograph=False)
    concrete = run.get_concrete_function(spec)
    operations = {op.type for op in concrete.graph.get_operations()}
    assert not operations & {"IdentityN", "PartitionedCall", "StatefulPartitionedCall"}
    expected = x  # to the last bit: samples of a seed stay what they are
    for kernel, bias in zip(kernels, biases, strict=True):
        expected = convolve(tf.nn.gelu(expected, approximate=False), kernel, bias)
    np.testing.assert_array_equal(concrete(x), expected)
    np.testing.assert_allclose(expected, plain(x, kernels, biases), rtol=1e-4, atol=1e-4)


def test_the_gradient_takes_a_batch_that_is_known_at_run_time_alone():
    x, kernels, biases = inputs()
    run = tf.function(
        lambda x: value_and_gradients(gelu_convolutions, x, kernels, biases),
        input_signature=[tf.TensorSpec((None, *x.shape[1:]))],
        autograph=False,
    )
    assert_close(run(x), value_and_gradients(plain, x, kernels, biases), of_largest=1e-6)


def test_under_xla_the_gradient_is_the_same():
    compiled = tf.function(
        lambda *given: value_and_gradients(gelu_convolutions, *given),
        jit_compile=True,
        autograph=False,
    )
    x, kernels, biases = inputs()
    assert_close(compiled(x, kernels, biases), value_and_gradients(plain, x, kernels, biases), 1e-5)
