"""Batches for training: an endless stream that seeks to any step at no cost."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from pcvae.data.order import slice_indices
from pcvae.errors import UserError

# Reads at once of one pipeline: they take turns in Python, but not on the disk (ours).
READERS = 4


def training_batches(
    images: np.ndarray,
    batch_size: int,
    seed: int,
    first_step: int = 0,
    num_steps: int | None = None,
    input_context: tf.distribute.InputContext | None = None,
    given: Mapping[str, np.ndarray] | None = None,
) -> tf.data.Dataset:
    """Returns the training batches from a step on, shuffled by ``order``.

    Under a strategy, give ``input_context`` (from ``strategy.distribute_datasets_from_function``):
    each pipeline then yields, step after step, the slices of its own replicas. Together they are
    the batch of one device, for any number of replicas and pipelines.

    Args:
        images: uint8 array or memory map [num_images, height, width, channels].
        batch_size: images in the global batch, over all replicas.
        seed: a Python int; the order is a function of it and of the step.
        first_step: the first step to yield, 0 for a new run. Seeking costs nothing.
        num_steps: how many steps to yield; None for no end.
        input_context: a ``tf.distribute.InputContext``, or None for one replica.
        given: {name: array [num_images, ...]}, what comes with each image, such as a label; None
            for nothing.

    Returns:
        A ``tf.data.Dataset`` of dicts: ``images`` uint8 [local_batch, height, width, channels],
        local_batch = batch_size / replicas, ``first_example`` int64 [], the place of the first of
        them in the global batch, and the parts of ``given`` by their names.

    Raises:
        UserError: if the batch cannot be shared equally by the replicas.
    """
    replicas = input_context.num_replicas_in_sync if input_context else 1
    pipelines = input_context.num_input_pipelines if input_context else 1
    pipeline = input_context.input_pipeline_id if input_context else 0
    if batch_size < 1 or batch_size % replicas:
        raise UserError(
            f"batch_size is the global batch size, a multiple of the {replicas} replicas; "
            f"got {batch_size}"
        )
    local_batch, own_replicas = batch_size // replicas, replicas // pipelines
    num_images, arrays = len(images), {"images": images, **(given or {})}

    def read(step, first_example):
        first_position = int(step) * batch_size + int(first_example)
        indices = slice_indices(seed, first_position, local_batch, num_images)
        return [np.ascontiguousarray(array[indices]) for array in arrays.values()]

    def slice_at(count):
        step = first_step + count // own_replicas
        first_example = (pipeline * own_replicas + count % own_replicas) * local_batch
        # Through Python, so that a memory map stays on disk and out of the graph.
        dtypes = [tf.as_dtype(array.dtype) for array in arrays.values()]
        parts = tf.numpy_function(read, [step, first_example], dtypes, stateful=False)
        batch = {
            name: tf.ensure_shape(part, (local_batch, *array.shape[1:]))
            for (name, array), part in zip(arrays.items(), parts, strict=True)
        }
        return {**batch, "first_example": first_example}

    count = tf.int64.max if num_steps is None else num_steps * own_replicas
    slices = tf.data.Dataset.range(count)
    slices = slices.map(slice_at, num_parallel_calls=READERS, deterministic=True)
    # Nothing is left to tune, and the thread that tunes can hold up the end of an iterator.
    options = tf.data.Options()
    options.autotune.enabled = False
    return slices.prefetch(2 * own_replicas).with_options(options)
