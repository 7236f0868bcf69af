"""The pictures that training leaves: samples, and reconstructions from prefixes."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from pcvae import data, models, quantities, show
from pcvae.files import write_together
from pcvae.progress import report
from pcvae.runs.run_directory import RunDirectory

SAMPLE_TEMPERATURES = (1.0, 0.9, 0.8, 0.7)
NUM_SAMPLES_SHOWN = 64
NUM_IMAGES_SHOWN = 8
T = TypeVar("T")


def attempted(make: Callable[[], T], what: str, otherwise: T) -> T:
    """Returns what a function that draws returns; if it fails, says so in a line and goes on.

    What is drawn are numbers that are written already: no picture is worth the end of the work.

    Args:
        make: called without arguments.
        what: what it makes, for the line.
        otherwise: what is returned if it fails.
    """
    try:
        return make()
    # Fonts, files of settings, memory, a full disk: anything may be what keeps it from drawing.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        report(f"{what} could not be made ({type(error).__name__}: {reason}); going on without")
        return otherwise


def chosen(images: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Returns the images that a picture shows; see `data.chosen_indices`."""
    return np.asarray(images[data.chosen_indices(seed, count, len(images))])


def draw_pictures(
    model: models.HierarchicalModel, images: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Returns {tag: grid} of samples at several temperatures and of prefix reconstructions.

    What is shown is a choice of the images by the seed. A conditional model draws for the
    conditions that follow from such a choice.
    """

    def condition_of(shown):
        return model.natural_condition(shown) if model.condition else None

    given = chosen(images, NUM_SAMPLES_SHOWN, seed) if model.condition else ()
    count, condition = len(given) or NUM_SAMPLES_SHOWN, condition_of(given)
    pictures = {
        quantities.samples_tag(temperature): show.image_grid(
            model.sample(count, temperature, seed=seed, condition=condition)
        )
        for temperature in SAMPLE_TEMPERATURES
    }
    shown = chosen(images, NUM_IMAGES_SHOWN, seed)
    pictures[quantities.PREFIX_RECONSTRUCTION] = show.prefix_grid(model, shown, seed=seed)
    if condition is not None:
        pictures["images/conditional_samples"] = show.conditional_grid(
            model, shown, condition_of(shown), seed
        )
    return pictures


def write_pictures(
    model: models.HierarchicalModel, images: np.ndarray, seed: int, directory: RunDirectory
) -> list[Path]:
    """Writes the pictures as PNG into a `RunDirectory`; returns their paths."""
    writers = {
        directory.image(tag.removeprefix("images/")): functools.partial(show.save_png, picture)
        for tag, picture in draw_pictures(model, images, seed).items()
    }
    write_together(writers)
    return [*writers]
