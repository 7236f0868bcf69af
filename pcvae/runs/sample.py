"""Images drawn from a run or an export: a picture, a folder of pictures, or arrays."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pcvae import data, models, show
from pcvae.checks import check_batch, check_bytes, check_integer, check_seed
from pcvae.errors import UserError
from pcvae.export import load_export
from pcvae.progress import with_progress
from pcvae.runs.load import load_run
from pcvae.runs.picture_output import PictureFolder, check_picture_size, write_picture_or_arrays

SAMPLES_AT_ONCE = 16
_MAX_INDEX = 2**62  # the noise counts images in 64 bits


def sample(
    *,
    num_samples: int,
    output: str | os.PathLike,
    run_dir: str | os.PathLike | None = None,
    export: str | os.PathLike | None = None,
    temperature: float | Sequence[float] = 1.0,
    last_temperature: float | None = None,
    stage_temperatures: Sequence[float] | None = None,
    seed: int = 0,
    first_sample: int = 0,
    pixels: str = "sample",
    condition: Any = None,
    batch_size: int | None = None,
    recalibrate_batches: int = 0,
    fallback: bool = True,
) -> None:
    """Draws images from a run or an export.

    Batches are whole and begin at multiples of their size, and what was not asked for is dropped:
    so sampling N images and then M equals sampling N + M to the last bit.

    Args:
        num_samples: how many images.
        output: a grid (``.png``), the array ``images`` (``.npz``), or a folder of PNGs, which is a
            path that ends with a slash or a folder that is there.
        run_dir: a directory that `train` left; or None for an export.
        export: a directory that `export` left; or None for a run.
        temperature: a number, or one per level, coarsest first.
        last_temperature: with a number as ``temperature``: that of the last level, the ones between
            on a straight line.
        stage_temperatures: of a model of several stages: one per stage, instead of ``temperature``.
        seed: integer from 0 to 2^32 - 1.
        first_sample: index of the first image.
        pixels: "sample" draws them, "mean" takes the mean of the head.
        condition: of a conditional model: labels such as ``"0,1,2"``, or the path of images; image
            i gets the i-th of them, from the start again after the last.
        batch_size: images drawn at once; None for 16, or what an export takes.
        recalibrate_batches: of a model with batch normalisation: from how many batches of samples
            its moving statistics are measured anew before (`HierarchicalModel.recalibrated`); 0
            leaves them as they were trained.
        fallback: whether an older checkpoint will do; see `load`.

    Raises:
        UserError: the run or the export is damaged, an argument is out of range, a grid would be
            too large, or a picture is in the way.
    """
    num_samples = check_integer("num_samples", num_samples, 1, _MAX_INDEX)
    first_sample = check_integer("first_sample", first_sample, 0, _MAX_INDEX)
    recalibrate_batches = check_integer("recalibrate_batches", recalibrate_batches, 0)
    if recalibrate_batches and export is not None:
        raise UserError("recalibrate_batches: the weights of an export stay: give the run instead")
    check_seed(seed)
    into_folder = str(output).endswith(os.sep) or Path(output).is_dir()
    indices = range(first_sample, first_sample + num_samples)
    folder = PictureFolder(output, indices) if into_folder else None
    if folder is None:
        check_picture_size(output, num_samples)
    if export is None:
        model, step, _ = load_run(run_dir, fallback)
        print(f"averaged weights of step {step:,}", flush=True)
    else:
        model, step = load_export(export), None
    batch_size = _batch_size(batch_size, model)
    _check_memory(batch_size, None if into_folder else num_samples, model.image_shape)
    if stage_temperatures is None:
        temperature = _ramp(temperature, last_temperature, model.num_levels)
    else:
        temperature = models.temperatures_of_stages(model, stage_temperatures)
    conditions = _Conditions(condition, model.condition)
    if recalibrate_batches:
        model = model.recalibrated(
            temperature,
            recalibrate_batches,
            seed,
            batch_size,
            conditions.arrays,
            lambda batches: with_progress(batches, len(batches), "measuring statistics, batches"),
        )
    kept = []
    starts = range(first_sample - first_sample % batch_size, indices.stop, batch_size)
    for start in with_progress(starts, len(starts), "drawing images, batches"):
        given = conditions.of(range(start, start + batch_size))
        images = model.sample(
            batch_size, temperature, seed, first_sample=start, pixels=pixels, **given
        )
        inside = slice(max(first_sample - start, 0), min(indices.stop - start, batch_size))
        if folder is None:
            kept.append(images[inside])
        else:
            folder.write(start + inside.start, images[inside])
    if folder is None:
        images = np.concatenate(kept)
        of_step = {} if step is None else {"step": np.int64(step)}
        write_picture_or_arrays(
            output, lambda: conditions.picture(images, indices), images=images, **of_step
        )


class _Conditions:
    """The conditions of images by index."""

    def __init__(self, text, condition):
        """Reads them; ``condition`` is what the model takes, or None."""
        if condition is None and text is not None:
            raise UserError(f"condition={text}: this model takes none")
        if condition is not None and text is None:
            raise UserError(f"condition: this model takes {condition.in_words}: give --condition")
        self.arrays = None
        if condition is None:
            return
        if condition.kind == "label":
            try:
                self.arrays = np.array([int(part) for part in text.split(",")], np.int32)
            except ValueError as error:
                raise UserError(
                    f"condition={text}: expected {condition.in_words}, such as 0,1,2"
                ) from error
        elif condition.kind == "image":
            self.arrays = data.read_images(text, condition.shape)
        else:
            raise UserError("condition: features are given in Python, to model.sample")
        self.arrays = condition.checked_batch(self.arrays, len(self.arrays))

    def of(self, indices):
        """Returns the arguments of `sample` for some images."""
        if self.arrays is None:
            return {}
        return {"condition": self.arrays[np.array(indices) % len(self.arrays)]}

    def picture(self, images, indices):
        """Returns a grid of the images, below their conditions if those are images, too."""
        given = self.of(indices).get("condition")
        if given is None or given.ndim == 1:
            return show.image_grid(images)
        return show.rows_of_conditions(given, images)


def _batch_size(batch_size, model):
    own = getattr(model, "batch_size", None)
    if own is None:
        return check_integer("batch_size", batch_size or SAMPLES_AT_ONCE, 1)
    if batch_size not in (None, own):
        raise UserError(f"batch_size: this export draws {own} images at once, got {batch_size}")
    return own


def _check_memory(batch_size, num_kept, image_shape):
    """Raises UserError if this machine cannot hold a batch, or the images that are kept."""
    values = math.prod(image_shape)
    check_batch(batch_size, image_shape)
    if num_kept is not None:
        remedy = ": draw into a folder, --output=DIR/, or in parts with --first_sample"
        check_bytes(f"num_samples={num_kept}", num_kept * values, "the images", remedy)


def _ramp(temperature, last_temperature, num_levels):
    """Returns the temperature, or those of all levels on a line from it to the last one."""
    if last_temperature is None:
        return temperature
    return np.linspace(temperature, last_temperature, num_levels)
