"""What a run says of the memory that its training takes."""

from typing import Any

import tensorflow as tf

from pcvae import models
from pcvae.memory import memory_limit_bytes
from pcvae.training.micro_batches import check_parts

# The estimate is off by some, and what is there may be more than what is known: swap, for one.
_FAR_ABOVE = 1.25


def memory_line(model: models.HierarchicalModel, batch_size: int, micro_batches: int = 1) -> str:
    """Returns what training in batches takes, and what this assumes, for the level table.

    Args:
        model: the model.
        batch_size: of the one replica.
        micro_batches: in how many parts it is taken.

    Raises:
        UserError: the parts cannot be equal.
    """
    check_parts(batch_size, micro_batches)
    memory = models.training_memory(model, batch_size // micro_batches)
    if memory is None:
        return f"memory         no estimate for a {type(model).__name__}"
    parts = f" in {micro_batches} parts" if micro_batches > 1 else ""
    process, state, step = (f"{share / 1e9:.2f}" for share in memory)
    return (
        f"memory         {memory.peak / 1e9:.2f} GB at the peak of training with batches of "
        f"{batch_size}{parts}: {process} process, {state} weights and optimizer, {step} a step\n"
        "               (estimated for a CPU and TensorFlow 2.21; within 15 % of what was measured)"
    )


def memory_warning(trainer: Any, batch_size: int) -> list[str]:
    """Returns a line if training will hardly fit into memory, else none.

    Args:
        trainer: a `training.Trainer`.
        batch_size: global, over all replicas.
    """
    if tf.config.list_physical_devices("GPU"):
        return []  # whose memory is another
    strategy = trainer.strategy
    images = batch_size // strategy.num_replicas_in_sync // trainer.micro_batches
    replicas = len(strategy.extended.worker_devices)
    memory, there = models.training_memory(trainer.model, images, replicas), memory_limit_bytes()
    if memory is None or memory.peak <= _FAR_ABOVE * there:
        return []
    taken, limit = (f"{value / 1e9:,.0f} GB" for value in (memory.peak, there))
    return [
        f"warning: training in batches of {batch_size} takes about {taken} of memory, this process "
        f"may take {limit}: if it is killed, give a smaller BATCH_SIZE, micro_batches of the "
        "Trainer, or recompute of the model"
    ]
