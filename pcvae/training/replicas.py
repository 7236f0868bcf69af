"""Batches of several replicas."""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf


def distributed_batches(
    strategy: tf.distribute.Strategy,
    batches_of: Callable[[tf.distribute.InputContext | None], tf.data.Dataset],
) -> Iterator[Any]:
    """Yields the batches of the replicas of this process, step by step, as ``strategy.run`` takes.

    An iterator of ``strategy.distribute_datasets_from_function`` does the same, and waits at its
    end for a thread that may sleep for as long again as it has lived, up to a minute.

    Args:
        strategy: over whose replicas the batches are spread.
        batches_of: returns the batches of a ``tf.distribute.InputContext``, those of its replicas
            in turn; of None, those of the only replica.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        yield from batches_of(None)
        return
    own = []
    strategy.experimental_distribute_values_from_function(
        lambda context: own.append(context.replica_id_in_sync_group) or tf.constant(0)
    )
    pipelines = tf.distribute.InputContext(
        num_input_pipelines=replicas // len(own),
        input_pipeline_id=own[0] // len(own),
        num_replicas_in_sync=replicas,
    )
    batches = iter(batches_of(pipelines))
    for parts in zip(*[batches] * len(own), strict=True):
        yield strategy.experimental_distribute_values_from_function(
            lambda context, parts=parts: parts[context.replica_id_in_sync_group - own[0]]
        )
