"""A batch in parts, one after the other, for less memory."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from pcvae.errors import UserError


def mean_over_parts(function: Callable, examples: Mapping[str, tf.Tensor], count: int) -> Any:
    """Returns the mean of what a function gives for equal parts of some examples.

    The parts run in a loop of the graph, so that the memory of one is that of all.

    Args:
        function: function (start, part) -> a structure of float tensors; `start` is the int64 place
            of the part's first example, `part` is like `examples`.
        examples: {name: tensor [examples, ...]}, whose number is known when it is traced.
        count: number of parts.

    Raises:
        UserError: the examples cannot be split into so many equal parts.
    """
    if count == 1:
        return function(tf.constant(0, tf.int64), examples)
    total = next(iter(examples.values())).shape[0]
    check_parts(total, count)
    size = total // count
    parts = {
        name: tf.reshape(tensor, (count, size, *tensor.shape[1:]))
        for name, tensor in examples.items()
    }

    def part(index):
        own = {name: tensor[index] for name, tensor in parts.items()}
        return tf.nest.map_structure(
            tf.convert_to_tensor, function(tf.cast(index * size, tf.int64), own)
        )

    # Traced once, here; its outputs say what the sums start from.
    traced = tf.function(part, autograph=False).get_concrete_function(tf.TensorSpec([], tf.int32))
    zeros = tf.nest.map_structure(
        lambda value: tf.zeros(value.shape, value.dtype), traced.structured_outputs
    )
    _, sums = tf.while_loop(
        lambda index, _: index < count,
        lambda index, sums: (index + 1, tf.nest.map_structure(tf.add, sums, traced(index))),
        (tf.constant(0), zeros),
        parallel_iterations=1,
    )
    return tf.nest.map_structure(lambda total: total / count, sums)


def check_parts(total: int | None, count: int) -> None:
    """Raises UserError if a replica's images, `total` of them, are no `count` equal parts."""
    if total is None or count < 1 or total % count:
        raise UserError(
            f"micro_batches={count}: expected a divisor of the {total} images that a replica gets "
            "at each step"
        )
