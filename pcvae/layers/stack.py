"""Depth as a loop: n equal layers held as one, each weight once with a leading level axis."""

import types

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="pcvae")
class Stack(keras.layers.Layer):
    """`count` layers of one shape, applied one after the other by a loop in the graph.

    The stack builds one template of the layer and holds each of its weights once, with the levels
    on a leading axis. Graph nodes, variables, and the work of the optimizer and of the moving
    average therefore depend on the number of stacks and not on depth. Each level starts from its
    own draw of the template's initializers.

    ``Stack(block, n)(x)`` equals n blocks in a row. `scan` does the same with any step function,
    per-level inputs and per-level outputs.

    Args:
        block: the template, a layer whose ``convolutions`` attribute names what holds all of its
            weights: convolutions, and gates, which have a kernel alone. It owns no weights of the
            stack.
        count: number of layers.
        unroll: whether to write the layers out one by one instead of looping. The values and
            gradients are the same; the graph grows with `count`.
    """

    def __init__(self, block, count, unroll=False, **kwargs):
        kwargs.setdefault("dtype", block.dtype_policy)
        super().__init__(**kwargs)
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        # The namespace hides the template from tracking: only the stacked weights are ours.
        self._hidden = types.SimpleNamespace(block=block)
        self.count = count
        self.unroll = unroll

    def build(self, input_shape=None):
        block = self._hidden.block
        if not block.built:
            block.build(input_shape)
        self._hidden.variables = []
        self._stacked = []
        self._index = {}
        for convolution_name, convolve in block.convolutions.items():
            for kind in ("kernel", "bias"):
                variable = getattr(convolve, kind)
                if variable is None:
                    continue
                initializer = getattr(convolve, f"{kind}_initializer")
                name = f"{convolution_name}_{kind}"
                self._index[name] = len(self._stacked)
                self._hidden.variables.append(variable)
                self._stacked.append(
                    self.add_weight(
                        shape=(self.count, *variable.shape),
                        initializer=_levelwise(initializer, self.count),
                        name=name,
                    )
                )
        if len(self._hidden.variables) != len(block.weights):
            raise ValueError(f"{block.name} has weights outside of its convolutions")
        super().build(input_shape)

    def level_weight(self, name):
        """Returns the stacked weight of a name: [count, ...]; see `level_weight_names`."""
        return self._stacked[self._index[name]]

    @property
    def level_weight_names(self):
        """Names of the weights of one level, such as ``c1_kernel``."""
        return tuple(self._index)

    @property
    def params_per_level(self):
        """Number of parameters of one level."""
        return sum(weight.shape.num_elements() for weight in self._hidden.block.weights)

    def call(self, x):
        x, _ = self.scan(lambda block, x: (block(x), ()), x)
        return x

    def compute_output_shape(self, input_shape):
        return input_shape

    def scan(self, step, carry, per_level=(), output_specs=()):
        """Applies a step with each level's weights in turn.

        Args:
            step: function (block, carry, *slices) -> (carry, outputs). `block` is the template
                holding the weights of the level; the new carry has the shape and dtype of the
                old; `outputs` is a tuple of tensors.
            carry: a tensor.
            per_level: tensors [count, ...], of which each step gets its slice.
            output_specs: a `tf.TensorSpec` for each output of one step.

        Returns:
            The last carry and a tuple of stacked outputs, each [count, ...].
        """
        block, variables = self._hidden.block, self._hidden.variables
        weights = [tf.convert_to_tensor(weight.value) for weight in self._stacked]
        num_weights = len(weights)
        inputs = [*weights, *(tf.convert_to_tensor(values) for values in per_level)]

        def one_level(carry, slices):
            mapping = list(zip(variables, slices[:num_weights], strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return step(block, carry, *slices[num_weights:])

        if self.unroll or self.count == 1:
            return self._unrolled(one_level, carry, inputs)
        return self._looped(one_level, carry, inputs, output_specs)

    def _unrolled(self, one_level, carry, inputs):
        outputs = []
        for slices in zip(*(tf.unstack(values, self.count) for values in inputs), strict=True):
            carry, output = one_level(carry, slices)
            outputs.append(output)
        return carry, tuple(tf.stack(values) for values in zip(*outputs, strict=True))

    def _looped(self, one_level, carry, inputs, output_specs):
        # The inputs enter as tensor arrays: the gradient of reading one is linear in depth,
        # that of slicing a captured tensor inside the body is not.
        arrays = [
            tf.TensorArray(values.dtype, self.count, element_shape=values.shape[1:]).unstack(values)
            for values in inputs
        ]
        results = tuple(
            tf.TensorArray(spec.dtype, self.count, element_shape=spec.shape)
            for spec in output_specs
        )

        def body(level, carry, results):
            carry, outputs = one_level(carry, [array.read(level) for array in arrays])
            written = (
                result.write(level, output) for result, output in zip(results, outputs, strict=True)
            )
            return level + 1, carry, tuple(written)

        _, carry, results = tf.while_loop(
            lambda level, *_: level < self.count,
            body,
            (tf.constant(0), carry, results),
            maximum_iterations=self.count,
        )
        return carry, tuple(result.stack() for result in results)

    def get_config(self):
        return {
            **super().get_config(),
            "block": keras.saving.serialize_keras_object(self._hidden.block),
            "count": self.count,
            "unroll": self.unroll,
        }

    @classmethod
    def from_config(cls, config):
        block = keras.saving.deserialize_keras_object(config.pop("block"))
        return cls(block, **config)


def _levelwise(initializer, count):
    """Returns an initializer that draws each level on its own, so that its fan-in is its own."""

    def draw(shape, dtype=None):
        # A clone has a seed of its own; calling one initializer twice would repeat its draw.
        levels = [initializer.clone()(shape[1:], dtype=dtype) for _ in range(count)]
        return tf.stack(levels)

    return draw
