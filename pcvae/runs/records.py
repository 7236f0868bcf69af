"""The files of a run directory that are not checkpoints or summaries."""

import inspect
from pathlib import Path

import numpy as np

from pcvae import data, show
from pcvae.errors import UserError
from pcvae.models.recorded import read_record
from pcvae.runs.record_checks import fault_of_curve, fault_of_evaluation, fault_of_run
from pcvae.training import summaries

SAMPLE_TEMPERATURES = (1.0, 0.9, 0.8, 0.7)
NUM_SAMPLES_SHOWN = 64
NUM_IMAGES_SHOWN = 8


def read_json(path, what, fault_of=None, remedy=None):
    """Returns what a JSON file of a run directory holds.

    Args:
        path: the file.
        what: what it should be, in words.
        fault_of: a function that returns what is wrong with the content, in words, or None.
        remedy: what makes the file, or makes it anew, in words.

    Raises:
        UserError: which says what was expected; the file is missing, no JSON, or has a fault.
    """
    try:
        content = read_record(path)
        fault = fault_of(content) if fault_of else None
    except FileNotFoundError:
        fault = "none"
    except OSError as error:
        fault = error.strerror or str(error)
    except ValueError as error:
        fault = f"no JSON ({error})"
    if fault:
        end = f": {remedy}" if remedy else ""
        raise UserError(f"{path}: expected {what}, got {fault}{end}")
    return content


def read_run(run_dir):
    """Returns the record ``run.json`` of a run directory.

    Raises:
        UserError: it is missing, no JSON, or lacks a field.
    """
    return read_json(Path(run_dir) / "run.json", "the record of a run", fault_of_run)


def read_evaluation(run_dir):
    """Returns the record ``results/evaluation.json`` of a run directory."""
    path = Path(run_dir) / "results" / "evaluation.json"
    remedy = f"evaluate the run, pcvae-evaluate --run_dir={run_dir}"
    return read_json(path, "the record of an evaluation", fault_of_evaluation, remedy)


def read_curve(run_dir):
    """Returns the rows of ``results/rate_distortion.json`` of a run directory."""
    path = Path(run_dir) / "results" / "rate_distortion.json"
    remedy = f"measure it, pcvae-rate-distortion --run_dir={run_dir}"
    return read_json(path, "a rate-distortion curve", fault_of_curve, remedy)


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
        summaries.samples_tag(temperature): show.image_grid(
            model.sample(count, temperature, seed=seed, condition=condition)
        )
        for temperature in SAMPLE_TEMPERATURES
    }
    shown = np.asarray(images[:NUM_IMAGES_SHOWN])
    pictures[summaries.PREFIX_RECONSTRUCTION] = show.prefix_grid(model, shown, seed=seed)
    if condition is not None:
        pictures["images/conditional_samples"] = show.conditional_grid(
            model, shown, condition[: len(shown)], seed
        )
    return pictures


def write_pictures(model, images, seed, folder):
    """Writes the pictures as PNG; returns their paths."""
    paths = []
    for tag, picture in draw_pictures(model, images, seed).items():
        paths.append(folder / f"{tag.rsplit('/', 1)[1]}.png")
        show.save_png(picture, paths[-1])
    return paths
