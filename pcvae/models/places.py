"""Which image of the whole a loop is at: noise is keyed by it, not by the place in a batch."""

import keras
import tensorflow as tf


class Places:
    """Numbers images that come in batches one after another, over any number of replicas.

    Made inside the scope of the strategy whose replicas call `take`.
    """

    def __init__(self) -> None:
        # A variable, so that graphs of several steps count as single steps do.
        self._taken = keras.Variable(
            "zeros",
            shape=(),
            dtype="int64",
            trainable=False,
            aggregation="only_first_replica",
            name="taken",
        )

    def reset(self) -> None:
        """Starts anew at image 0."""
        self._taken.assign(0)

    def take(self, num_images: tf.Tensor, anew: tf.Tensor | bool = False) -> tuple:
        """Numbers the images of this replica; all replicas call it together.

        Args:
            num_images: scalar, how many this replica has; none is a number, too.
            anew: whether the batch begins at 0.

        Returns:
            The index of the first of them and the number of images of the global batch, int64 [].
        """
        context = tf.distribute.get_replica_context()
        before, total = tf.constant(0, tf.int64), tf.cast(num_images, tf.int64)
        if context.num_replicas_in_sync > 1:
            # Replicas may have different numbers of images, in the last batch. In floats, which
            # every kind of device sums.
            own = context.replica_id_in_sync_group
            place = tf.one_hot(own, context.num_replicas_in_sync) * tf.cast(num_images, tf.float32)
            counts = context.all_reduce(tf.distribute.ReduceOp.SUM, place)
            counts = tf.cast(tf.round(counts), tf.int64)
            before, total = tf.reduce_sum(counts[:own]), tf.reduce_sum(counts)
        taken = tf.convert_to_tensor(self._taken)
        taken = tf.where(anew, tf.zeros_like(taken), taken)
        self._taken.assign(taken + total)
        return taken + before, total
