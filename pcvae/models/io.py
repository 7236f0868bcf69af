"""Models on disk, without gin: ``model.json`` and the weights of a checkpoint.

Reading executes nothing: the class comes from a fixed table, its arguments are JSON, and weights
are arrays read by name.
"""

import copy
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pcvae.errors import UserError
from pcvae.files import write_json
from pcvae.models.base import HierarchicalModel
from pcvae.models.recorded import check_config, check_memory, read_record, weight_shapes
from pcvae.models.registry import registered_models

FORMAT_VERSION = 1


def write_model(model: HierarchicalModel, path: str | os.PathLike) -> None:
    """Writes the class and the arguments of a model as JSON."""
    record = {
        "format_version": FORMAT_VERSION,
        "class": type(model).__name__,
        "config": model.get_config(),
    }
    write_json(record, path)


def read_model(
    path: str | os.PathLike, shapes_fn: Callable[[], dict] | None = None
) -> HierarchicalModel:
    """Builds the model that `write_model` wrote, with fresh weights.

    Args:
        path: the file.
        shapes_fn: called without arguments; returns {name: shape} of the weights that the model is
            to hold, which are compared before its memory is taken. None for any weights that the
            machine can hold.

    Raises:
        UserError: the file is missing, is no model, or holds arguments that do not fit.
    """
    path = Path(path)
    try:
        record = read_record(path)
    except FileNotFoundError as error:
        raise UserError(f"{path.parent}: expected a run directory with {path.name}") from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: expected JSON written by pcvae, got {error}") from error
    fields = record if isinstance(record, dict) else {}
    if fields.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{path}: expected format_version {FORMAT_VERSION}, got {fields.get('format_version')}"
        )
    classes = registered_models()
    name, config = fields.get("class"), fields.get("config")
    try:
        check_config(name, config, classes)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    shapes = None if shapes_fn is None else shapes_fn()
    try:
        own_shapes = weight_shapes(lambda: classes[name].from_config(copy.deepcopy(config)))
        if shapes is not None:
            check_shapes(own_shapes, shapes)
        check_memory(own_shapes)
        return classes[name].from_config(config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # arguments of any kind make Keras raise nearly anything
        raise UserError(f"{path}: the arguments of {name} do not fit: {error}") from error


def load_weights(model: HierarchicalModel, weights: Mapping[str, np.ndarray]) -> None:
    """Assigns {name: array} to a model.

    Raises:
        UserError: names or shapes differ; nothing is assigned then.
    """
    variables = model.named_weights
    check_shapes(
        {name: tuple(variable.shape) for name, variable in variables.items()},
        {name: np.shape(array) for name, array in weights.items()},
    )
    for name, variable in variables.items():
        variable.assign(weights[name])


def check_shapes(expected: Mapping[str, Any], got: Mapping[str, Any]) -> None:
    """Compares {name: shape} of what a model holds with that of what it is given.

    Raises:
        UserError: names or shapes differ.
    """
    problems = [f"missing {name}" for name in expected.keys() - got.keys()]
    problems += [f"unexpected {name}" for name in got.keys() - expected.keys()]
    problems += [
        f"{name} has shape {got[name]}, expected {expected[name]}"
        for name in expected.keys() & got.keys()
        if expected[name] != got[name]
    ]
    if problems:
        raise UserError(f"weights do not fit the model: {'; '.join(sorted(problems)[:8])}")
