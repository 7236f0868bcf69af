"""The levels of a model as a table, and the memory that training it takes."""

import os
from collections.abc import Callable, Sequence

from pcvae import measure, models
from pcvae.progress import waiting
from pcvae.runs.run_directory import RunDirectory
from pcvae.runs.step_memory import memory_line


def describe(
    *,
    model_fn: Callable,
    image_shape: Sequence[int] | None = None,
    batch_size: int | None = None,
    micro_batches: int = 1,
) -> str:
    """Returns the level table of a model that is built for this.

    Args:
        model_fn: returns the model; called with image_shape if that is given.
        image_shape: (height, width, channels).
        batch_size: images of a training step, whose memory is then estimated.
        micro_batches: in how many parts a step takes them; see `training.Trainer`.

    Raises:
        UserError: the arguments do not fit together.
    """
    model = model_fn(**({"image_shape": image_shape} if image_shape else {}))
    return _described(model, batch_size, micro_batches)


@waiting("loading the model")
def describe_run(*, run_dir: str | os.PathLike, batch_size: int | None = None) -> str:
    """Returns the level table of a run's model, and the memory that training it as before takes.

    Args:
        run_dir: a directory that `train` left.
        batch_size: other images of a step than the run's.

    Raises:
        UserError: a record of the run is damaged, or its parts do not divide the batch.
    """
    directory = RunDirectory(run_dir)
    model = models.read_model(directory.model_json)
    run = directory.run() if directory.run_json.exists() else {}
    if "steps" in run:  # others were imported: their batch size is that of an evaluation
        batch_size = batch_size or run["batch_size"]
    return _described(model, batch_size, run.get("micro_batches", 1))


def _described(model, batch_size, micro_batches):
    table = measure.level_table(model)
    if batch_size is None:
        return table
    return f"{table}\n\n{memory_line(model, batch_size, micro_batches)}"
