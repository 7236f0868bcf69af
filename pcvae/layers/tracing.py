"""What TensorFlow knows of the graph that is being traced, and has no public name for."""

import os

import tensorflow as tf
from tensorflow.python.eager import record
from tensorflow.python.ops import control_flow_util


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
