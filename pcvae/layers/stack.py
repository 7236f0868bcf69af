"""Depth without nodes: n equal layers held as one, each weight once with a leading level axis."""

import contextlib
import copy
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state

from pcvae.layers.depth import LevelFunctions, kind_of_level, looped, recomputed, written_out
from pcvae.tracing import is_compiled_by_xla, may_be_differentiated, may_be_fused


@keras.saving.register_keras_serializable(package="pcvae")
class Stack(keras.layers.Layer):
    """`count` layers of one shape, applied one after the other.

    The stack builds one template of the layer and holds each of its variables once, with the levels
    on a leading axis. A level is traced once: a graph that is differentiated calls it, and its
    gradient, for each level; any other graph, and one that XLA compiles, has a loop. Tracing,
    variables, and the work of the optimizer and of the moving average therefore depend on the
    number of stacks and not on depth, but for two calls a level. Each level starts from its own
    draw of the template's initializers.

    ``Stack(block, n)(x)`` equals n blocks in a row, also in what a block writes into variables that
    are not trained (the moving statistics of a batch normalisation). `scan` does the same with any
    step function, per-level inputs and per-level outputs.

    Args:
        block: the template, any layer that maps a shape to itself. It owns no weights of the stack.
        count: number of layers.
        unroll: whether to write the layers out one by one: a larger graph, the same values.
        recompute: whether the gradient keeps the input of each layer alone and computes the rest
            anew: less memory, more time, the same values.
    """

    def __init__(
        self,
        block: keras.layers.Layer,
        count: int,
        unroll: bool = False,
        recompute: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs = {"dtype": block.dtype_policy, "autocast": block.autocast, **kwargs}
        super().__init__(**kwargs)
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        # The namespace hides the template from tracking: only the stacked weights are ours.
        self._hidden = types.SimpleNamespace(block=block)
        self.count = count
        self.unroll = unroll
        self.recompute = recompute

    def build(self, input_shape: Any = None) -> None:
        block = self._hidden.block
        if not block.built:
            _build_without_values(block, input_shape)
        variables = _named_variables(block)
        copies = _FreshCopies(block, self.count, input_shape)
        self._hidden.variables = [variable for _, variable, _ in variables]
        self._index = {name: position for position, (name, _, _) in enumerate(variables)}
        self._stacked = [
            self.add_weight(
                shape=(self.count, *variable.shape),
                dtype=variable.dtype,
                trainable=variable.trainable,
                # Replicas write what they have seen of their part of a batch: the mean is kept.
                aggregation="mean" if tf.as_dtype(variable.dtype).is_floating else "none",
                initializer=_levelwise(initializer, self.count) or copies.initializer(position),
                autocast=False,  # the block casts what it takes of a level
                name=name,
            )
            for position, (name, variable, initializer) in enumerate(variables)
        ]
        super().build(input_shape)

    def level_weight(self, name: str) -> Any:
        """Returns the stacked weight of a name: [count, ...]; see `level_weight_names`."""
        return self._stacked[self._index[name]]

    def template(self) -> keras.layers.Layer:
        """Returns a layer of the form of each level, which holds no weights.

        No property: Keras would find a layer there, and save it.
        """
        return self._hidden.block

    @property
    def level_weight_names(self) -> tuple[str, ...]:
        """Names of the weights of one level, such as ``c1_kernel``."""
        return tuple(self._index)

    @property
    def params_per_level(self) -> int:
        """Number of parameters of one level."""
        return sum(int(np.prod(variable.shape)) for variable in self._hidden.variables)

    def call(self, x: tf.Tensor, functions: LevelFunctions | None = None) -> tf.Tensor:
        """Applies the layers in a row; `functions` as for `scan`."""
        return self.scan(_apply, x, functions=functions)[0]

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return input_shape

    def scan(
        self,
        step: Callable,
        carry: tf.Tensor,
        per_level: Sequence = (),
        output_specs: Sequence[tf.TensorSpec] = (),
        shared: Sequence = (),
        functions: LevelFunctions | None = None,
    ) -> tuple[tf.Tensor, tuple]:
        """Applies a step with each level's weights in turn.

        Args:
            step: function (block, carry, *slices, *shared) -> (carry, outputs). `block` is the
                template holding the weights of the level; the new carry has the shape and dtype of
                the old; `outputs` is a tuple of tensors.
            carry: a tensor.
            per_level: tensors [count, ...], of which each step gets its slice.
            output_specs: a `tf.TensorSpec` for each output of one step.
            shared: tensors, or None, that every step gets as they are.
            functions: what stacks of one graph share, so that equal levels with an equal step are
                traced once for all of them.

        Returns:
            The last carry and a tuple of stacked outputs, each [count, ...].
        """
        weights = [tf.convert_to_tensor(weight.value) for weight in self._stacked]
        inputs = [*weights, *(tf.convert_to_tensor(values) for values in per_level)]
        level = _Level(self._hidden.block, self._hidden.variables, step, not self.trainable)
        run = recomputed(level) if self.recompute and may_be_differentiated() else level
        if self.unroll or tf.executing_eagerly():
            carry, outputs = written_out(run, carry, inputs, shared)
        elif may_be_differentiated() and may_be_fused() and not is_compiled_by_xla():
            kind = kind_of_level(self._hidden.block, step, carry, inputs, shared)
            key = (kind, self.recompute, self.trainable)
            function, level = (functions or LevelFunctions()).of(key, run, level)
            carry, outputs = written_out(function, carry, inputs, shared)
        elif self.count == 1:
            carry, outputs = written_out(run, carry, inputs, shared)
        else:
            specs = [*output_specs, *level.specs_of_written]
            carry, outputs = looped(run, carry, inputs, shared, specs)
        num_outputs = len(outputs) - len(level.written)
        for index, values in zip(level.written, outputs[num_outputs:], strict=True):
            if index in level.moved:
                self._stacked[index].assign(values)
        return carry, outputs[:num_outputs]

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "block": keras.saving.serialize_keras_object(self._hidden.block),
            "count": self.count,
            "unroll": self.unroll,
            "recompute": self.recompute,
        }

    @classmethod
    def from_config(cls, config: dict) -> Self:
        block = keras.saving.deserialize_keras_object(config.pop("block"))
        return cls(block, **config)


def _apply(block, x):
    return block(x), ()


class _Level:
    """A step with the weights of one level in the template.

    A block may write what is not trained: its new values leave the step beside the outputs.

    Attributes:
        written: the places of the variables that are not trained.
        moved: those of them that the step has written.
    """

    def __init__(self, block, variables, step, is_held):
        self._block, self._variables, self._step = block, variables, step
        # Keras' word on whether this is training, also for a gradient that comes back to it later.
        self._call_context = copy.copy(global_state.get_global_attribute("current_call_ctx"))
        if is_held and self._call_context is not None:
            self._call_context.set_value("training", False)  # as Keras' own layers have it
        self.written = [index for index, v in enumerate(variables) if not v.trainable]
        self.moved = set()

    @property
    def specs_of_written(self):
        variables = (self._variables[index] for index in self.written)
        return [tf.TensorSpec(variable.shape, variable.dtype) for variable in variables]

    def __call__(self, carry, slices, shared):
        weights, own = slices[: len(self._variables)], slices[len(self._variables) :]
        mapping = list(zip(self._variables, weights, strict=True))
        stateless = keras.StatelessScope(mapping, initialize_variables=False)
        with _called_in(self._call_context), stateless as scope:
            carry, outputs = self._step(self._block, carry, *own, *shared)
        values = []
        for index in self.written:
            value = scope.get_current_value(self._variables[index])
            if value is not weights[index]:
                self.moved.add(index)
            values.append(value)
        return carry, (*outputs, *values)


@contextlib.contextmanager
def _called_in(context):
    """Runs the block as a part of a call of a Keras layer that may have ended."""
    before = global_state.get_global_attribute("current_call_ctx")
    global_state.set_global_attribute("current_call_ctx", context)
    try:
        yield
    finally:
        global_state.set_global_attribute("current_call_ctx", before)


def _build_without_values(block, input_shape):
    """Builds a layer whose variables hold nothing: those of the levels stand in for them."""
    with keras.StatelessScope(initialize_variables=False):
        block.build(input_shape)
    # Keras notes them, and would make them at the end of any other such scope: inside a function
    # that is being traced, which is then traced once more. There is no public way to say no.
    waiting = global_state.get_global_attribute("uninitialized_variables", [])
    own = {id(variable) for variable in block.variables}
    waiting[:] = [variable for variable in waiting if id(variable) not in own]


def _named_variables(block):
    """Returns (name within the block, variable, its initializer or None) of each variable."""
    prefix = f"{block.path}/"
    named = [
        (variable.path.removeprefix(prefix).replace("/", "_"), variable, initializer)
        for variable, initializer in variables_of(block)
    ]
    names = [name for name, _, _ in named]
    if len(set(names)) < len(names):
        raise ValueError(f"{block.name}: two of its variables have one name, among {names}")
    return named


def variables_of(layer: keras.layers.Layer) -> Iterator[tuple]:
    """Yields each variable of a layer and of the layers in it, with the initializer of its name."""
    initializers = {
        id(variable): getattr(layer, f"{variable.name}_initializer", None)
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables)
    }
    for inner in layer._layers:
        for variable, initializer in variables_of(inner):
            initializers[id(variable)] = initializer
    for variable in layer.variables:
        yield variable, initializers.get(id(variable))


def _levelwise(initializer, count):
    """Returns an initializer that draws each level on its own, so that its fan-in is its own.

    None if there is none to draw from.
    """
    if not isinstance(initializer, keras.initializers.Initializer):
        return None

    def draw(shape, dtype=None):
        # A clone has a seed of its own; calling one initializer twice would repeat its draw.
        levels = [initializer.clone()(shape[1:], dtype=dtype) for _ in range(count)]
        return tf.stack(levels)

    return draw


class _FreshCopies:
    """Copies of a block, one for each level, for variables whose initializer is not known."""

    def __init__(self, block, count, input_shape):
        self._block, self._count, self._input_shape = block, count, input_shape
        self._copies = None

    def initializer(self, position):
        """Returns the initializer of the variable at a position among those of the block."""

        def draw(shape, dtype=None):
            if self._copies is None:
                self._copies = [self._copy() for _ in range(self._count)]
            values = [copy[position].value for copy in self._copies]
            return tf.cast(tf.stack(values), dtype)

        return draw

    def _copy(self):
        copy = type(self._block).from_config(self._block.get_config())
        copy.build(self._input_shape)
        return [variable for variable, _ in variables_of(copy)]
