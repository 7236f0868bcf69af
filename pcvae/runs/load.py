"""The model of a run directory."""

import os
from pathlib import Path

from pcvae import models, training
from pcvae.errors import UserError
from pcvae.runs.frozen_weights import frozen_shapes, read_frozen


def load(run_dir):
    """Loads the model of a run directory with its averaged (EMA) weights.

    Args:
        run_dir: a directory that `train` left, finished or not.

    Returns:
        A `VDVAE`, `ConditionalVDVAE` or `StagedVAE`.

    Raises:
        UserError: the directory holds no run, or one that is damaged.
    """
    if not isinstance(run_dir, str | os.PathLike):
        raise UserError(f"run_dir: expected the path of a run directory, got {run_dir!r}")
    run_dir = Path(run_dir)
    checkpoints = run_dir / "checkpoints"
    model = models.read_model(
        run_dir / "model.json",
        lambda: {**training.group_shapes(checkpoints, "ema"), **frozen_shapes(run_dir)},
    )
    trained = training.read_group(checkpoints, "ema")
    models.load_weights(model, {**trained, **read_frozen(run_dir)})
    return model
