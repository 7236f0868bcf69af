"""What TensorFlow does to a graph before its first run."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from pcvae.layers.tracing import may_be_fused

_OPTION = "disable_meta_optimizer"


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
