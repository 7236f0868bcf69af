"""The model of a run directory."""

import os
from typing import NamedTuple

import numpy as np

from pcvae import models, training
from pcvae.errors import UserError
from pcvae.files import printable
from pcvae.runs.frozen_weights import frozen_shapes, read_frozen
from pcvae.runs.run_directory import RunDirectory


class LoadedRun(NamedTuple):
    """What one checkpoint of a run holds."""

    model: models.HierarchicalModel  # with averaged weights
    step: int  # the checkpoint's: how many steps were taken
    multipliers: np.ndarray | None  # of the constraints, [constraints]; None without any


def load(run_dir: str | os.PathLike, fallback: bool = True) -> models.HierarchicalModel:
    """Loads the model of a run directory with its averaged (EMA) weights.

    Args:
        run_dir: a directory that `train` left, finished or not.
        fallback: whether an older checkpoint is taken, with a warning, where the newest one is
            damaged or files of it are missing.

    Returns:
        A `VDVAE`, `ConditionalVDVAE` or `StagedVAE`; ``checkpoint_step`` of it says how many steps
        its weights were trained.

    Raises:
        UserError: the directory holds no run, or one that is damaged, or weights that are NaN or
            infinite.
    """
    return load_run(run_dir, fallback).model


def load_run(run_dir: str | os.PathLike, fallback: bool = True) -> LoadedRun:
    """Loads what one checkpoint of a run holds; arguments and errors are those of `load`."""
    directory = RunDirectory(run_dir)
    if os.path.isfile(run_dir):
        keras_file = str(run_dir).endswith(".keras")
        remedy = "; keras.models.load_model reads .keras files" if keras_file else ""
        raise UserError(f"{printable(run_dir)}: expected a run directory, got a file{remedy}")

    def read(path):
        model = models.read_model(
            directory.model_json,
            lambda: {**training.shapes_of(path, "ema"), **frozen_shapes(directory)},
        )
        constrained = training.has_group(path, "lagrange")
        training.check_finite(path, ["ema", *(["lagrange"] if constrained else [])])
        weights = training.arrays_of(path, "ema")
        multipliers = training.arrays_of(path, "lagrange")["values"] if constrained else None
        models.load_weights(model, {**weights, **read_frozen(directory)})
        model.checkpoint_step = training.step_of(path)
        return LoadedRun(model, training.step_of(path), multipliers)

    def none():
        raise training.no_checkpoint(directory.checkpoints)

    found = training.read_newest(directory.checkpoints, read, fallback)
    if found is None:
        models.read_model(directory.model_json, none)
        none()
    return found[1]
