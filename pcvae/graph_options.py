"""What TensorFlow does to a traced graph before its first run."""

import tensorflow as tf


def run_graphs_as_traced() -> None:
    """Switches off TensorFlow's rewriting of graphs (Grappler) in this process, without a GPU.

    It takes about half of the time from the end of tracing to the first step, and the step of a
    VDVAE is not faster by it (``docs/performance.md``). Values change by rounding at most. With a
    GPU, whose layout of tensors the rewriting chooses, nothing is done.

    Every command calls this; in Python it is the user's choice.
    """
    if not tf.config.list_physical_devices("GPU"):
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
