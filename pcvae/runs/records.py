"""The files of a run directory that are not checkpoints or summaries."""

import inspect
import json
import os
from pathlib import Path

import numpy as np

from pcvae import data, evaluation
from pcvae.errors import UserError
from pcvae.training import summaries

SAMPLE_TEMPERATURES = (1.0, 0.9, 0.8, 0.7)
NUM_SAMPLES_SHOWN = 64
NUM_IMAGES_SHOWN = 8
# What every version of pcvae has written; newer fields may be missing.
RUN_FIELDS = ("data", "batch_size")


def write_json(record, path):
    """Writes JSON in one go, so that a reader never sees half of it; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(partial, path)


def read_json(path, what):
    """Returns what a JSON file of a run directory holds.

    Raises:
        UserError: which says what was expected; the file is missing, or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: expected {what}, got: {error}") from error


def read_run(run_dir):
    """Returns the record ``run.json`` of a run directory.

    Raises:
        UserError: it is missing, no JSON, or lacks a field.
    """
    path = Path(run_dir) / "run.json"
    run = read_json(path, "the record of a run")
    missing = [name for name in RUN_FIELDS if not isinstance(run, dict) or name not in run]
    if missing:
        what = f"one without {', '.join(missing)}" if isinstance(run, dict) else type(run).__name__
        raise UserError(f"{path}: expected the record of a run, got {what}")
    return run


def read_evaluation(run_dir):
    """Returns the record ``results/evaluation.json`` of a run directory."""
    return read_json(Path(run_dir) / "results" / "evaluation.json", "the record of an evaluation")


def read_curve(run_dir):
    """Returns the rows of ``results/rate_distortion.json`` of a run directory."""
    return read_json(Path(run_dir) / "results" / "rate_distortion.json", "a rate-distortion curve")


def run_dataset(run, spec, image_shape):
    """Returns the dataset of a run, or another one at the run's image size."""
    origin = run["data"] if spec is None else {"spec": spec, "image_size": image_shape[0]}
    if origin is None:
        raise UserError("the run names no dataset: say which with --data=SPEC")
    known = inspect.signature(data.from_spec).parameters
    if not isinstance(origin, dict) or "spec" not in origin or origin.keys() - known.keys():
        raise UserError(
            f"run.json: expected under data the arguments of data.from_spec, {', '.join(known)}; "
            f"got {origin!r}"
        )
    dataset = data.from_spec(**origin)
    if dataset.image_shape != tuple(image_shape):
        raise UserError(
            f"{dataset.name} has images of shape {dataset.image_shape}, the run's model takes "
            f"{tuple(image_shape)}"
        )
    return dataset


def draw_pictures(model, images, seed):
    """Returns {tag: grid} of samples at several temperatures and of prefix reconstructions.

    A conditional model draws for the conditions that follow from the images.
    """
    count = min(NUM_SAMPLES_SHOWN, len(images)) if model.condition else NUM_SAMPLES_SHOWN
    condition = model.natural_condition(images[:count]) if model.condition else None
    pictures = {
        summaries.samples_tag(temperature): evaluation.image_grid(
            model.sample(count, temperature, seed=seed, condition=condition)
        )
        for temperature in SAMPLE_TEMPERATURES
    }
    shown = np.asarray(images[:NUM_IMAGES_SHOWN])
    pictures[summaries.PREFIX_RECONSTRUCTION] = evaluation.prefix_grid(model, shown, seed=seed)
    if condition is not None:
        pictures["images/conditional_samples"] = evaluation.conditional_grid(
            model, shown, condition[: len(shown)], seed
        )
    return pictures


def write_pictures(model, images, seed, folder):
    """Writes the pictures as PNG; returns their paths."""
    paths = []
    for tag, picture in draw_pictures(model, images, seed).items():
        paths.append(folder / f"{tag.rsplit('/', 1)[1]}.png")
        evaluation.save_png(picture, paths[-1])
    return paths
