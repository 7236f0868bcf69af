"""How graphs are traced and run: what TensorFlow knows of it, and what we ask of it."""

import contextlib
import operator
import os
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import record
from tensorflow.python.ops import control_flow_util

_OPTION = "disable_meta_optimizer"


def may_be_differentiated() -> bool:
    """Whether a tape records what is computed now; exports and sampling have none."""
    return record.could_possibly_record()


def may_be_fused() -> bool:
    """Whether gradients of our own and pieces compiled by XLA may be used.

    ``PCVAE_PLAIN_GRAPHS=1`` says no, for whoever wants to know whether they are at fault.
    """
    return os.environ.get("PCVAE_PLAIN_GRAPHS", "") in ("", "0")


def is_compiled_by_xla() -> bool:
    """Whether the graph that is traced now, or one around it, is compiled as a whole by XLA."""
    if tf.executing_eagerly():
        return False
    return control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def functions_of(graph_def: Any) -> Any:
    """Returns the functions of a `GraphDef`, as `FunctionDef`s to read or edit."""
    return operator.attrgetter("library.function")(graph_def)


def nodes_of(graph_def: Any) -> Iterator[Any]:
    """Yields the nodes of a `GraphDef`, then those of its functions."""
    yield from graph_def.node
    for function in functions_of(graph_def):
        yield from function.node_def


@contextlib.contextmanager
def graphs_as_traced() -> Iterator[None]:
    """Runs graphs of the block as they were traced, without TensorFlow's rewriting (Grappler).

    Rewriting takes half of the time between the end of tracing and the first step, and no step of a
    VDVAE is faster by it on a CPU (``docs/performance.md``). A GPU, whose layout of tensors it
    chooses, keeps it. Values differ by rounding at most.
    """
    if tf.config.list_physical_devices("GPU") or not may_be_fused():
        yield
        return
    before = tf.config.optimizer.get_experimental_options().get(_OPTION, False)
    tf.config.optimizer.set_experimental_options({_OPTION: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_OPTION: before})
