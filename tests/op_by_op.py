"""Compiled graphs run op by op: for tests whose promise is not the graph, without tracing."""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def op_by_op(wanted=True):
    """Runs the block op by op, or in graphs where that is not wanted; then as before."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(wanted)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
