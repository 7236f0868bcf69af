"""A stack is its layers in a row, looped or written out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae.layers import BottleneckBlock, Stack
from pcvae.layers.depth import LevelFunctions
from pcvae.layers.stack import variables_of
from pcvae.tracing import nodes_of
from pcvae.training.graph_size import count_graph_nodes

WIDTH = 6


def make_stack(count, **kwargs):
    block = BottleneckBlock(WIDTH, 4, WIDTH, residual=True, last_scale=1 / 3, name="block")
    stack = Stack(block, count, name="stack", **kwargs)
    stack.build((None, 5, 5, WIDTH))
    return stack


def copy_weights(source, target):
    for old, new in zip(source.weights, target.weights, strict=True):
        new.assign(old)


def inputs(seed=0, batch=2):
    return tf.random.stateless_normal((batch, 5, 5, WIDTH), seed=(seed, 0))


def value_and_gradients(stack, x):
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(stack(x) ** 2)
        return loss, tape.gradient(loss, [x, *(weight.value for weight in stack.weights)])

    return tf.function(run, autograph=False)(x)


def test_its_first_use_is_traced_once_and_makes_no_variables():
    """The template has none with values, and leaves Keras none to make in another scope."""
    stack, traced = make_stack(2), []

    @tf.function(autograph=False)
    def run(x):
        traced.append(x)
        with keras.StatelessScope():
            pass
        return stack(x)

    run(inputs())
    assert len(traced) == 1


@pytest.mark.parametrize("count", [1, 2, 5])
def test_stack_equals_layers_in_a_row(count):
    stack, x = make_stack(count), inputs()
    expected = x
    for level in range(count):
        block = BottleneckBlock(WIDTH, 4, WIDTH, residual=True)
        block.build()
        for name, convolve in block.convolutions.items():
            convolve.kernel.assign(stack.level_weight(f"{name}_kernel")[level])
            convolve.bias.assign(stack.level_weight(f"{name}_bias")[level])
        expected = block(expected)
    np.testing.assert_allclose(stack(x), expected, rtol=1e-5, atol=1e-6)


def test_called_looped_recomputed_and_unrolled_have_equal_values_and_gradients(monkeypatch):
    called, unrolled, x = make_stack(4), make_stack(4, unroll=True), inputs()
    for weight in called.weights:
        weight.assign(tf.random.stateless_normal(weight.shape, seed=(1, 2)))
    recomputed = make_stack(4, recompute=True)
    copy_weights(called, unrolled)
    copy_weights(called, recomputed)
    expected_loss, expected = value_and_gradients(unrolled, x)
    assert not loops_of(called, x)
    results = [value_and_gradients(called, x), value_and_gradients(recomputed, x)]
    monkeypatch.setenv("PCVAE_PLAIN_GRAPHS", "1")
    assert loops_of(called, x)
    results += [value_and_gradients(called, x), value_and_gradients(recomputed, x)]
    for loss, gradients in results:
        np.testing.assert_allclose(loss, expected_loss, rtol=1e-6)
        for gradient, other in zip(gradients, expected, strict=True):
            assert np.abs(gradient).max() > 0
            limit = 1e-5 * np.abs(other).max()
            np.testing.assert_allclose(gradient, other, rtol=1e-4, atol=limit)


def loops_of(stack, x):
    """Returns whether a graph of the value and the gradients has loops."""
    run = tf.function(lambda x: value_and_gradients(stack, x), autograph=False)
    graph = run.get_concrete_function(x).graph.as_graph_def()
    return any("While" in node.op for node in nodes_of(graph))


def test_xla_gives_equal_values():
    stack, x = make_stack(3), inputs()
    compiled = tf.function(stack, jit_compile=True, autograph=False)
    np.testing.assert_allclose(compiled(x), stack(x), rtol=1e-4, atol=1e-5)


def test_scan_slices_inputs_and_stacks_outputs():
    stack, x = make_stack(4), inputs()
    scales = tf.constant([1.0, 2.0, 3.0, 4.0])

    def step(block, carry, scale):
        carry = scale * block(carry)
        return carry, (tf.reduce_sum(carry, axis=(1, 2, 3)), scale)

    specs = (tf.TensorSpec((2,)), tf.TensorSpec(()))
    carry, (sums, seen) = stack.scan(step, x, (scales,), specs)
    np.testing.assert_array_equal(seen, scales)
    # What the first levels do is what a stack of them does: outputs stand in the levels' order.
    for count in range(1, 5):
        part = make_stack(count)
        for weight, whole in zip(part.weights, stack.weights, strict=True):
            weight.assign(whole[:count])
        expected, _ = part.scan(step, x, (scales[:count],), specs)
        np.testing.assert_allclose(
            sums[count - 1], tf.reduce_sum(expected, axis=(1, 2, 3)), rtol=1e-4, atol=1e-5
        )
    np.testing.assert_array_equal(carry, expected)


def test_each_level_starts_from_its_own_draw_with_its_own_fan_in():
    stack = make_stack(50)
    kernel = stack.level_weight("c2_kernel").numpy()  # [50, 3, 3, 4, 4]: fan-in 36
    assert len(np.unique(kernel[:, 0, 0, 0, 0])) == 50
    limit = np.sqrt(1 / 36)
    assert np.abs(kernel).max() <= limit
    np.testing.assert_allclose(kernel.std(), limit / np.sqrt(3), rtol=0.05)
    last = stack.level_weight("c4_kernel").numpy()  # fan-in 4, scaled by sqrt(1 / 3)
    np.testing.assert_allclose(np.abs(last).max(), np.sqrt(1 / 4 / 3), rtol=0.05)


def test_a_level_more_is_a_call_more_each_way():
    def nodes(count):
        stack = make_stack(count)
        function = tf.function(lambda x: value_and_gradients(stack, x), autograph=False)
        return count_graph_nodes(function.get_concrete_function(inputs()).graph)

    assert nodes(30) == nodes(3) + 2 * 27


def test_stacks_of_one_kind_are_traced_once():
    """Also of other lengths, and with steps of their own only where they are given."""
    traced = []

    def step(block, x):
        traced.append(x.shape[1])
        return block(x), ()

    @tf.function(autograph=False)
    def run(x):
        functions = LevelFunctions()
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x
            for stack in stacks:
                y = stack.scan(step, y, functions=functions)[0]
            y = stacks[0].scan(step, y[:, :3], functions=functions)[0]
        return y, tape.gradient(y, x)

    x, stacks = inputs(), [make_stack(2), make_stack(3)]
    value, gradient = run(x)
    assert traced == [5, 3]
    tf.config.run_functions_eagerly(True)
    try:
        expected, expected_gradient = run(x)
    finally:
        tf.config.run_functions_eagerly(False)
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-4, atol=1e-5)


def test_the_template_owns_no_weights_of_the_stack():
    block = BottleneckBlock(WIDTH, 4, WIDTH, residual=True, name="block")
    stack = Stack(block, 3)
    stack.build((None, 5, 5, WIDTH))
    assert len(block.weights) == len(stack.weights) == 8
    assert not {id(weight) for weight in stack.weights} & {id(weight) for weight in block.weights}
    assert stack.count_params() == 3 * stack.params_per_level == 3 * block.count_params()


def test_keras_contract():
    stack, x = make_stack(3), inputs()
    config = stack.get_config()
    again = Stack.from_config(config)
    again.build((None, 5, 5, WIDTH))
    assert again.get_config() == stack.get_config()
    copy_weights(stack, again)
    np.testing.assert_array_equal(again(x), stack(x))
    assert stack.compute_output_spec(keras.KerasTensor((2, 5, 5, WIDTH))).shape == (2, 5, 5, WIDTH)


def test_saved_in_a_keras_model(tmp_path):
    model = keras.Sequential([keras.Input((5, 5, WIDTH)), make_stack(3)])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(inputs()), model(inputs()))


def test_low_precision_agrees_with_float32():
    block = BottleneckBlock(WIDTH, 4, WIDTH, residual=True, dtype="mixed_bfloat16")
    low, exact = Stack(block, 3), make_stack(3)
    low.build((None, 5, 5, WIDTH))
    copy_weights(exact, low)
    assert {weight.dtype for weight in low.weights} == {"float32"}
    assert low(inputs()).dtype == tf.float32
    np.testing.assert_allclose(low(inputs()), exact(inputs()), atol=0.05)


def test_count_is_checked():
    with pytest.raises(ValueError, match="at least 1"):
        Stack(BottleneckBlock(2, 1, 2), 0)


@keras.saving.register_keras_serializable(package="tests")
class SqueezeAndExcite(keras.layers.Layer):
    """Scales channels by what a small network makes of their means (Hu et al. 2018)."""

    def build(self, input_shape):
        channels = input_shape[-1]
        self.squeeze = keras.layers.Dense(2, activation="relu", name="squeeze")
        self.excite = keras.layers.Dense(channels, activation="sigmoid", name="excite")
        self.squeeze.build((None, channels))
        self.excite.build((None, 2))
        super().build(input_shape)

    def call(self, x):
        means = tf.reduce_mean(x, axis=(1, 2))
        return x * self.excite(self.squeeze(means))[:, None, None]


ANY_LAYER = {
    "depthwise": lambda: keras.layers.DepthwiseConv2D(3, padding="same"),
    "batch_normalisation": lambda: keras.layers.BatchNormalization(momentum=0.7),
    "squeeze_and_excite": SqueezeAndExcite,
    "dense": lambda: keras.layers.Dense(WIDTH, activation="tanh"),
    "several_with_dropout": lambda: keras.Sequential(
        [
            keras.Input((5, 5, WIDTH)),
            keras.layers.BatchNormalization(name="normalise"),
            keras.layers.Conv2D(WIDTH, 3, padding="same", name="convolve"),
            keras.layers.Dropout(0.5, seed=3, name="drop"),
        ]
    ),
}


def stack_and_its_layers(block, **how):
    """A stack of three, and three layers with its variables."""
    stack = Stack(block, 3, **how)
    stack.build((None, 5, 5, WIDTH))
    layers = [type(block).from_config(block.get_config()) for _ in range(3)]
    for level, layer in enumerate(layers):
        if not layer.built:
            layer.build((None, 5, 5, WIDTH))
        for name, (variable, _) in zip(stack.level_weight_names, variables_of(layer), strict=True):
            variable.assign(stack.level_weight(name)[level])
    return stack, layers


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("make_block", ANY_LAYER.values(), ids=ANY_LAYER)
def test_any_layer_stacks_with_what_it_writes(make_block, unroll, in_graph):
    """Also in training, where a block moves its statistics, which inference then reads."""
    stack, layers = stack_and_its_layers(make_block(), unroll=unroll)

    def run(x, training):
        return stack(x, training=training)

    run = tf.function(run, autograph=False) if in_graph else run
    for training in (True, True, False):
        x = expected = inputs(seed=int(training), batch=4)
        for layer in layers:
            expected = layer(expected, training=training)
        np.testing.assert_allclose(run(x, training), expected, rtol=1e-5, atol=1e-6)
        for level, layer in enumerate(layers):
            pairs = zip(stack.level_weight_names, variables_of(layer), strict=True)
            for name, (variable, _) in pairs:
                actual = stack.level_weight(name)[level]
                np.testing.assert_allclose(actual, variable, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("how", [{}, {"unroll": True}, {"recompute": True}])
@pytest.mark.parametrize("make_block", ANY_LAYER.values(), ids=ANY_LAYER)
def test_any_layer_is_differentiated_and_writes_the_same(make_block, how):
    """However its levels are run in the graph; dropout draws once for value and gradient."""
    stack, layers = stack_and_its_layers(make_block(), **how)

    def run(apply, x, weights):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = apply(x)
            loss = tf.reduce_sum(y**2)
        return y, tape.gradient(loss, [x, *weights])

    def in_a_row(x):
        for layer in layers:
            x = layer(x, training=True)
        return x

    x, weights = inputs(batch=4), [weight.value for weight in stack.trainable_weights]
    graph = tf.function(lambda x: run(lambda x: stack(x, training=True), x, weights))
    value, (gradient, *of_weights) = graph(x)
    own = [[variable.value for variable in layer.trainable_weights] for layer in layers]
    expected, (of_x, *of_layers) = run(in_a_row, x, sum(own, []))
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, of_x, rtol=1e-4, atol=1e-5)
    for place, stacked in enumerate(of_weights):
        for level, gradient in enumerate(tf.unstack(stacked)):
            other = of_layers[level * len(own[0]) + place]
            np.testing.assert_allclose(gradient, other, rtol=1e-4, atol=1e-4)
    for place, weight in enumerate(stack.non_trainable_weights):
        moved = [layer.non_trainable_variables[place] for layer in layers]
        np.testing.assert_allclose(weight, np.stack(moved), rtol=1e-5, atol=1e-6)


def test_what_is_not_trained_gets_no_gradient_and_inference_leaves_it():
    stack, _ = stack_and_its_layers(keras.layers.BatchNormalization(), unroll=False)
    assert [len(stack.trainable_weights), len(stack.non_trainable_weights)] == [2, 2]
    before = [weight.numpy() for weight in stack.non_trainable_weights]
    stack(inputs(), training=False)
    for value, weight in zip(before, stack.non_trainable_weights, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_two_replicas_keep_the_mean_of_their_statistics():
    """Moving statistics of a mirrored stack are those of the replicas' batches, averaged."""
    devices = [device.name for device in tf.config.list_logical_devices("CPU")[:2]]
    strategy = tf.distribute.MirroredStrategy(devices)
    with strategy.scope():
        stack = Stack(keras.layers.BatchNormalization(momentum=0.5), 2)
        stack.build((None, 5, 5, WIDTH))
    halves = [inputs(0, 4), inputs(1, 4)]
    values = strategy.experimental_distribute_values_from_function(
        lambda context: halves[context.replica_id_in_sync_group]
    )
    run = tf.function(lambda x: strategy.run(lambda x: stack(x, training=True), args=(x,)))
    run(values)
    expected = np.mean([tf.reduce_mean(half, axis=(0, 1, 2)) for half in halves], axis=0)
    np.testing.assert_allclose(stack.level_weight("moving_mean")[0], 0.5 * expected, atol=1e-6)


def test_each_level_of_a_layer_whose_initializer_has_another_name_draws_its_own():
    stack, _ = stack_and_its_layers(keras.layers.DepthwiseConv2D(3, padding="same"), unroll=False)
    kernel = stack.level_weight("kernel").numpy()
    assert len(np.unique(kernel)) == kernel.size


def test_a_stack_that_is_held_computes_as_in_inference(eagerly):
    stack, _ = stack_and_its_layers(keras.layers.BatchNormalization(), unroll=False)
    expected = stack(inputs(), training=False).numpy()
    before = [weight.numpy() for weight in stack.non_trainable_weights]
    assert np.abs(stack(inputs(), training=True) - expected).max() > 0.1
    for weight, value in zip(stack.non_trainable_weights, before, strict=True):
        weight.assign(value)
    stack.trainable = False
    np.testing.assert_array_equal(stack(inputs(), training=True), expected)
