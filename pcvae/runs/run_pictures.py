"""The pictures that training leaves: samples, and reconstructions from prefixes."""

from pathlib import Path

import numpy as np

from pcvae import models, quantities, show
from pcvae.runs.run_directory import RunDirectory

SAMPLE_TEMPERATURES = (1.0, 0.9, 0.8, 0.7)
NUM_SAMPLES_SHOWN = 64
NUM_IMAGES_SHOWN = 8


def draw_pictures(
    model: models.HierarchicalModel, images: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Returns {tag: grid} of samples at several temperatures and of prefix reconstructions.

    A conditional model draws for the conditions that follow from the images.
    """
    count = min(NUM_SAMPLES_SHOWN, len(images)) if model.condition else NUM_SAMPLES_SHOWN
    condition = model.natural_condition(images[:count]) if model.condition else None
    pictures = {
        quantities.samples_tag(temperature): show.image_grid(
            model.sample(count, temperature, seed=seed, condition=condition)
        )
        for temperature in SAMPLE_TEMPERATURES
    }
    shown = np.asarray(images[:NUM_IMAGES_SHOWN])
    pictures[quantities.PREFIX_RECONSTRUCTION] = show.prefix_grid(model, shown, seed=seed)
    if condition is not None:
        pictures["images/conditional_samples"] = show.conditional_grid(
            model, shown, condition[: len(shown)], seed
        )
    return pictures


def write_pictures(
    model: models.HierarchicalModel, images: np.ndarray, seed: int, directory: RunDirectory
) -> list[Path]:
    """Writes the pictures as PNG into a `RunDirectory`; returns their paths."""
    paths = []
    for tag, picture in draw_pictures(model, images, seed).items():
        paths.append(directory.image(tag.removeprefix("images/")))
        show.save_png(picture, paths[-1])
    return paths
