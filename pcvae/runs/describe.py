"""The levels of a model as a table."""

import os
from collections.abc import Callable, Sequence

from pcvae import measure, models
from pcvae.progress import waiting
from pcvae.runs.run_directory import RunDirectory


def describe(*, model_fn: Callable, image_shape: Sequence[int] | None = None) -> str:
    """Returns the level table of a model that is built for this."""
    return measure.level_table(model_fn(**({"image_shape": image_shape} if image_shape else {})))


@waiting("loading the model")
def describe_run(*, run_dir: str | os.PathLike) -> str:
    """Returns the level table of a run's model."""
    return measure.level_table(models.read_model(RunDirectory(run_dir).model_json))
