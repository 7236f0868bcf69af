"""Published weights of openai/vdvae as a run directory.

A checkpoint of the reference is a PyTorch file (``.th``), read by PyTorch's loader of nothing but
weights, or the same tensors by name in an ``.npz``. No pickle is ever run.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pcvae import data, measure, models, training
from pcvae.errors import UserError
from pcvae.files import check_new_folder, new_folder, write_json
from pcvae.models.reference_weights import check_reference_shapes
from pcvae.runs.run_directory import RunDirectory
from pcvae.runs.weight_files import check_weight_file, read_weights

EVALUATION_BATCH_SIZE = 16
# What other programs put in front of the names: several processes, and our own fixtures.
_PREFIXES = ("module.", "weight/")


def import_openai(
    *,
    weights: str | os.PathLike,
    output: str | os.PathLike,
    model_fn: Callable,
    dataset: data.ImageDataset | None = None,
    spec: str | None = None,
) -> dict[str, Any]:
    """Writes a run directory that holds the weights of a reference checkpoint.

    `load`, `evaluate`, `sample` and the rest take it as one of `train`; it cannot be trained on.

    Args:
        weights: a ``.th`` file of openai/vdvae, or an ``.npz`` of the same names and layouts.
        output: the run directory, new or empty.
        model_fn: called without arguments, or with image_shape if there is a dataset; returns a
            `VDVAE` of the checkpoint's layer strings and widths.
        dataset: the `ImageDataset` that evaluations take, or None.
        spec: the same as `data.from_spec` takes it, at the model's size; in place of ``dataset``.

    Returns:
        The record that is written to ``run.json``.

    Raises:
        UserError: the file holds no weights, they do not fit the model, or the output is not empty;
            nothing is written then.
    """
    weights = Path(weights)
    check_new_folder(output)
    check_weight_file(weights, "--weights")
    model = model_fn(**({} if dataset is None else {"image_shape": dataset.image_shape}))
    if spec is not None:
        dataset = data.from_spec(spec, image_size=model.image_shape[0])
    if dataset is not None and dataset.image_shape != model.image_shape:
        raise UserError(
            f"{dataset.name} has images of shape {dataset.image_shape}, the model takes "
            f"{model.image_shape}"
        )
    check = functools.partial(check_reference_shapes, model)
    arrays = read_weights(weights, "--weights", _reference_names, check)
    models.load_reference_weights(model, arrays)
    run = {
        "data": None if dataset is None else dataset.origin,
        "batch_size": EVALUATION_BATCH_SIZE,
        "imported": {"weights": weights.name, "sha256": measure.file_sha256(weights)},
    }
    with new_folder(output) as folder:
        directory = RunDirectory(folder)
        models.write_model(model, directory.model_json)
        training.Checkpoints(directory.checkpoints, {"ema": model.named_weights}).save(0)
        write_json(run, directory.run_json)
    print(f"{model.num_levels} levels, {model.count_params():,} parameters from {weights.name}")
    return run


def _reference_names(names):
    """Returns {name in the reference: name in the file}."""
    marked = [name for name in names if name.startswith("weight/")]
    return {_reference_name(name): name for name in marked or names}


def _reference_name(name):
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name
