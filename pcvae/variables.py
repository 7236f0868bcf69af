"""Variables that training keeps beside the weights, and how a replica reads and writes them."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf


def tf_variable(variable: keras.Variable | tf.Variable) -> tf.Variable:
    """Returns the ``tf.Variable`` of a ``keras.Variable``, or the variable itself."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def local_handle(variable: keras.Variable | tf.Variable) -> tf.Tensor:
    """Returns the resource of a ``keras.Variable`` or ``tf.Variable`` on the current replica.

    In replica context the handle of a mirrored variable is the one of the replica's own copy, so
    operations on it need neither an aggregation nor a merge call. All replicas have to write equal
    values.
    """
    return tf_variable(variable).handle


def assign_local(variable: keras.Variable | tf.Variable, value: tf.Tensor) -> None:
    """Assigns on the current replica, in replica context or without a strategy."""
    tf.raw_ops.AssignVariableOp(resource=local_handle(variable), value=value)


def state_variable(name: str, initial_value: Callable) -> tf.Variable:
    """Creates a variable that training keeps beside the weights, in the strategy scope.

    Args:
        name: name of the variable.
        initial_value: function without arguments.
    """
    return tf.Variable(
        initial_value,
        trainable=False,
        name=name.replace("/", "_"),
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


def without_assigning(
    variables: Mapping[str, Any],
    function: Callable,
    values: Mapping[str, tf.Tensor] | None = None,
) -> tuple[Any, dict]:
    """Calls a function whose layers assign variables, and leaves these as they were.

    Args:
        variables: {name: `keras.Variable`} that may be assigned; with none it is an ordinary call.
        function: without arguments.
        values: {name: tensor} that they are to hold while it runs; None for what they hold.

    Returns:
        What the function returns, and {name: tensor} of what the variables would hold after it.
    """
    if not variables:
        return function(), {}
    mapping = [(variables[name], value) for name, value in (values or {}).items()]
    with keras.StatelessScope(mapping, initialize_variables=False):
        result = function()
        return result, {name: tf.convert_to_tensor(v.value) for name, v in variables.items()}
