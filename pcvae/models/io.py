"""Models on disk, without gin: ``model.json`` and the weights of a checkpoint.

Reading executes nothing: the class comes from a fixed table, its arguments are JSON, and weights
are arrays read by name.
"""

import json
from pathlib import Path

import numpy as np

from pcvae.errors import UserError
from pcvae.models.conditional import ConditionalVDVAE
from pcvae.models.prefix_decoders import PrefixDecoders
from pcvae.models.staged import StagedVAE
from pcvae.models.vdvae import VDVAE

FORMAT_VERSION = 1
MODEL_CLASSES = {
    "VDVAE": VDVAE,
    "ConditionalVDVAE": ConditionalVDVAE,
    "StagedVAE": StagedVAE,
    "PrefixDecoders": PrefixDecoders,
}


def write_model(model, path):
    """Writes the class and the arguments of a model as JSON."""
    record = {
        "format_version": FORMAT_VERSION,
        "class": type(model).__name__,
        "config": model.get_config(),
    }
    Path(path).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def read_model(path):
    """Builds the model that `write_model` wrote, with fresh weights.

    Raises:
        UserError: the file is missing, is no model, or holds arguments that do not fit.
    """
    path = Path(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path.parent}: expected a run directory with {path.name}") from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: expected JSON written by pcvae, got {error}") from error
    fields = record if isinstance(record, dict) else {}
    if fields.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{path}: expected format_version {FORMAT_VERSION}, got {fields.get('format_version')}"
        )
    name, config = fields.get("class"), fields.get("config")
    if name not in MODEL_CLASSES or not isinstance(config, dict):
        raise UserError(f"{path}: expected a class of {sorted(MODEL_CLASSES)}, got {name!r}")
    try:
        return MODEL_CLASSES[name].from_config(config)
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(f"{path}: the arguments of {name} do not fit: {error}") from error


def load_weights(model, weights):
    """Assigns {name: array} to a model.

    Raises:
        UserError: names or shapes differ; nothing is assigned then.
    """
    variables = model.named_weights
    problems = [f"missing {name}" for name in variables.keys() - weights.keys()]
    problems += [f"unexpected {name}" for name in weights.keys() - variables.keys()]
    for name in variables.keys() & weights.keys():
        expected, got = tuple(variables[name].shape), np.shape(weights[name])
        if expected != got:
            problems.append(f"{name} has shape {got}, expected {expected}")
    if problems:
        raise UserError(f"weights do not fit the model: {'; '.join(sorted(problems)[:8])}")
    for name, variable in variables.items():
        variable.assign(weights[name])
