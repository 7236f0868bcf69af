"""Depth: three ways to run levels in a row, with the same values and gradients.

A level is a function (carry, slices, shared) -> (carry, outputs): `slices` are its own tensors,
`shared` are those that all levels see, and outputs are a tuple of tensors. Each way takes

    level, carry, inputs (tensors [levels, ...], sliced level by level), shared

and returns the last carry and the outputs, each stacked to [levels, ...].
"""

import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import keras
import tensorflow as tf


def written_out(
    level: Callable, carry: tf.Tensor, inputs: Sequence[tf.Tensor], shared: Sequence
) -> tuple[tf.Tensor, tuple]:
    """Runs level after level, each with nodes of its own where a graph is traced."""
    outputs = []
    for slices in zip(*(tf.unstack(values) for values in inputs), strict=True):
        carry, output = level(carry, slices, shared)
        outputs.append(output)
    return carry, tuple(tf.stack(values) for values in zip(*outputs, strict=True))


def looped(
    level: Callable,
    carry: tf.Tensor,
    inputs: Sequence[tf.Tensor],
    shared: Sequence,
    output_specs: Sequence[tf.TensorSpec],
) -> tuple[tf.Tensor, tuple]:
    """Runs a loop in the graph, whose nodes do not depend on the number of levels.

    Its gradient works, but it keeps a list of tensors for every intermediate result.

    Args:
        level: see the head of the module, as for `carry`, `inputs` and `shared`.
        output_specs: a `tf.TensorSpec` for each output of one level.
    """
    # The inputs enter as tensor arrays: the gradient of reading one is linear in depth,
    # that of slicing a captured tensor inside the body is not.
    count = inputs[0].shape[0]
    arrays = [
        tf.TensorArray(values.dtype, count, element_shape=values.shape[1:]).unstack(values)
        for values in inputs
    ]
    results = tuple(
        tf.TensorArray(spec.dtype, count, element_shape=spec.shape) for spec in output_specs
    )

    def body(index, carry, results):
        carry, outputs = level(carry, [array.read(index) for array in arrays], shared)
        written = (
            result.write(index, output) for result, output in zip(results, outputs, strict=True)
        )
        return index + 1, carry, tuple(written)

    _, carry, results = tf.while_loop(
        lambda index, *_: index < count,
        body,
        (tf.constant(0), carry, results),
        maximum_iterations=count,
        # Where a level does not wait for the one before it, as in a fixed posterior, several would
        # run at once, and the convolutions of oneDNN overwrite the memory of each other.
        parallel_iterations=1,
    )
    return carry, tuple(result.stack() for result in results)


class LevelFunctions:
    """Levels as functions that are traced once, with their gradients, and called for each level.

    Levels of equal kind and shapes share a function, also from stack to stack. It belongs to the
    trace of one graph: what its functions capture are tensors of that graph.
    """

    def __init__(self) -> None:
        self._functions = {}

    def of(self, key: Hashable, level: Callable, about: Any) -> tuple[Callable, Any]:
        """Returns the function of a key, and what was said about the level it was made of.

        Args:
            key: equal for levels that compute the same with the same arguments.
            level: see the head of the module; taken where the key is new.
            about: anything; kept where the key is new.
        """
        if key not in self._functions:
            # Kept apart, a function is optimised once, and not once for each of its calls.
            function = tf.function(
                level, autograph=False, experimental_attributes={"_noinline": True}
            )
            self._functions[key] = (function, about)
        return self._functions[key]


def kind_of_level(
    block: keras.layers.Layer,
    step: Callable,
    carry: tf.Tensor,
    inputs: Sequence[tf.Tensor],
    shared: Sequence,
) -> Hashable:
    """Returns what is equal for levels that compute the same with the same arguments.

    Args:
        block: the template that holds a level's weights.
        step: what is done with it.
        carry: see the head of the module, as for `inputs`.
        shared: tensors, structures of them, or None.
    """
    config = json.dumps(keras.saving.serialize_keras_object(block), sort_keys=True, default=str)
    tensors = tf.nest.flatten((carry, shared))
    shapes = [None if tensor is None else (*tensor.shape, tensor.dtype) for tensor in tensors]
    slices = [(*values.shape[1:], values.dtype) for values in inputs]
    return config, step, tuple(shapes), tuple(slices)


def recomputed(level: Callable) -> Callable:
    """Returns a level whose gradient keeps its arguments alone, and computes the rest anew.

    That takes the time of one more pass through the level, and the memory of its arguments instead
    of that of all its intermediate results (Chen et al. 2016, arXiv:1604.06174).
    """

    def run(carry, slices, shared):
        given = (carry, slices, shared)
        places = [place for place, t in enumerate(tf.nest.flatten(given)) if t is not None]

        def on(tensors):
            values = [None] * len(tf.nest.flatten(given))
            for place, tensor in zip(places, tensors, strict=True):
                values[place] = tensor
            return level(*tf.nest.pack_sequence_as(given, values))

        @tf.custom_gradient
        def forward(*tensors):
            result = on(tensors)

            def gradient(*upstream):
                with tf.GradientTape() as tape:
                    tape.watch([t for t in tensors if t.dtype.is_floating])
                    again = tf.nest.flatten(on(tensors))
                return tape.gradient(again, tensors, upstream)

            return tf.nest.flatten(result), gradient

        carry, *outputs = forward(*(t for t in tf.nest.flatten(given) if t is not None))
        return carry, tuple(outputs)

    return run
