"""The model of a run directory."""

import os

from pcvae import models, training
from pcvae.runs.frozen_weights import frozen_shapes, read_frozen
from pcvae.runs.run_directory import RunDirectory


def load(run_dir: str | os.PathLike) -> models.HierarchicalModel:
    """Loads the model of a run directory with its averaged (EMA) weights.

    Args:
        run_dir: a directory that `train` left, finished or not.

    Returns:
        A `VDVAE`, `ConditionalVDVAE` or `StagedVAE`.

    Raises:
        UserError: the directory holds no run, or one that is damaged.
    """
    directory = RunDirectory(run_dir)
    model = models.read_model(
        directory.model_json,
        lambda: {**training.group_shapes(directory.checkpoints, "ema"), **frozen_shapes(directory)},
    )
    trained = training.read_group(directory.checkpoints, "ema")
    models.load_weights(model, {**trained, **read_frozen(directory)})
    return model
