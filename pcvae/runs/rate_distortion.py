"""The rate-distortion curve of a run's prefixes: fit what is asked for, measure, write."""

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pcvae import measure, models, show, training
from pcvae.checks import check_seed
from pcvae.errors import UserError
from pcvae.files import plain_path, told_when_full, write_arrays, write_json, write_together
from pcvae.measure.rate_distortion import REFIT
from pcvae.progress import progress_of
from pcvae.quantities import (
    DISTORTION,
    MANY_LEVELS,
    PSNR,
    bounds_prefixes,
    rate_notes,
    rates_from,
)
from pcvae.runs.fit_prefix_decoders import fit_prefix_decoders, load_prefix_decoders
from pcvae.runs.load import load
from pcvae.runs.report import check_report_files, refreshed_report
from pcvae.runs.run_directory import RunDirectory
from pcvae.runs.run_pictures import NUM_IMAGES_SHOWN, chosen
from pcvae.tables import text_table
from pcvae.wording import shared_rate_unit


def rate_distortion(
    *,
    run_dir: str | os.PathLike,
    refit_steps: int = 0,
    prefixes: Sequence[int | str] | None = None,
    refit_learning_rate: float = 4e-3,
    refit_from_scratch: bool = False,
    split: str = "test",
    num_images: int | None = None,
    seed: int = 0,
    spec: str | None = None,
    per_image: str | os.PathLike | None = None,
    batch_size: int | None = None,
    fallback: bool = True,
    strategy: tf.distribute.Strategy | None = None,
) -> list[dict[str, Any]]:
    """Measures rate and distortion of every prefix of a run with its averaged weights.

    Args:
        run_dir: a directory that `train` left.
        refit_steps: steps of the fit of decoders with q frozen; 0 uses those that were fitted
            before, if any. See `fit_prefix_decoders`.
        prefixes: which prefixes get such a decoder; see `fit_prefix_decoders`.
        refit_learning_rate: of the fit.
        refit_from_scratch: whether a fit that is there is replaced.
        split: "train", "validation" or "test": what is measured.
        num_images: how many images, the first ones; None for all.
        seed: integer, of the posterior and of the fit.
        spec: another dataset, as `data.from_spec` takes it, or None.
        per_image: a file ``.npz`` for the values of each image, or None.
        batch_size: images at once, of the measurement and of the fit; None for that of training.
        fallback: whether an older checkpoint will do; see `load`.
        strategy: a `tf.distribute.Strategy`; by default one device.

    Returns:
        The rows written to ``results/rate_distortion.json``; a quick look at other images than all
        of the test split of the run's own data gets files that name them, as in `evaluate`.

    Raises:
        UserError: an argument does not fit the run.
        Interrupted: a signal came during the fit; a checkpoint was saved.
    """
    directory, seed = RunDirectory(run_dir), check_seed(seed)
    run = directory.run()
    check_report_files(directory, "rate_distortion")
    strategy = strategy or training.make_strategy("one_device")
    with strategy.scope():
        model = load(run_dir, fallback)
    dataset = directory.dataset(model.image_shape, spec)
    images = dataset.images(split)
    if num_images is not None and num_images > len(images):
        raise UserError(f"num_images: the {split} split has {len(images)} images, got {num_images}")
    if refit_steps:
        fit_prefix_decoders(
            run_dir=run_dir,
            steps=refit_steps,
            prefixes=prefixes,
            batch_size=batch_size,
            learning_rate=refit_learning_rate,
            seed=seed,
            spec=spec,
            strategy=strategy,
            from_scratch=refit_from_scratch,
            fallback=fallback,
        )
    with strategy.scope():
        decoders = load_prefix_decoders(run_dir, model)
        if not refit_steps and prefixes is not None:
            _check_fitted(model, decoders, prefixes)
        rows, arrays = measure.rate_distortion_curve(
            model,
            images[:num_images],
            decoders,
            seed=seed,
            batch_size=batch_size or run["batch_size"],
            per_image=True,
            progress=progress_of(f"measuring the {split} split, batches"),
        )
    count = len(arrays["rate_nats_per_level"])
    measured = {"data": dataset.origin, "split": split, "num_images": count, "seed": seed}
    rows = [{**row, **measured} for row in rows]
    if training.is_chief(strategy):
        notes = dict.fromkeys(note for row in rows for note in rate_notes(row))
        unit = shared_rate_unit([run.get("constraints", [])])
        print(
            _table(_shown(model, rows), unit),
            *notes,
            *_unfinished_lines(rows),
            sep="\n",
            flush=True,
        )
        some = None if count == len(images) else count
        suffix = directory.suffix(split, some, dataset.origin)
        shown = {"seed": seed, "rate_unit": unit}
        paths = _write(directory, suffix, model, decoders, images, rows, arrays, per_image, **shown)
        print(*(f"wrote {path}" for path in paths), sep="\n", flush=True)
    return rows


def _check_fitted(model, decoders, prefixes):
    """Raises UserError unless all prefixes have a decoder."""
    wanted = models.prefixes_of(model, prefixes)
    missing = set(wanted) - set(decoders.prefixes if decoders else ())
    if missing:
        raise UserError(
            f"prefixes: no decoder is fitted for K = {', '.join(map(str, sorted(missing)))}: fit "
            "with --refit_steps=N"
        )


def _write(directory, suffix, model, decoders, images, rows, arrays, per_image, seed, rate_unit):
    """Writes JSON, arrays and pictures; returns their paths."""
    curve = directory.result(f"rate_distortion{suffix}")
    writers = {curve: functools.partial(write_json, rows)}
    if per_image:
        columns = {
            name: np.array([row[name] for row in rows]) for name in ("num_levels", "decoder")
        }
        writers[Path(per_image)] = functools.partial(write_arrays, **arrays, **columns)
    by_resolution = measure.rate_by_resolution(
        arrays["rate_nats_per_level"], model.level_groups, model.image_shape
    )
    pictures = {
        "rate_distortion": show.rate_distortion_plot({directory.label: rows}, rate_unit=rate_unit),
        "rate_by_resolution": show.rate_by_resolution_plot(
            {directory.label: by_resolution}, rate_unit
        ),
    }
    if decoders is not None:
        refitted = models.RefittedPrefixes(model, decoders)
        shown = chosen(images, NUM_IMAGES_SHOWN, seed)
        pictures["refit_reconstructions"] = show.refit_grid(refitted, shown, rows, seed, rate_unit)
    for name, picture in pictures.items():
        writers[directory.image(f"{name}{suffix}")] = functools.partial(show.save_png, picture)
    write_together(writers)
    if suffix:
        return [*writers]
    _write_summaries(directory, pictures)
    return [*writers, *refreshed_report(directory)]


def _write_summaries(directory, pictures):
    """Puts the pictures into TensorBoard, at the last step of the run.

    A writer of its own: a `ScalarLog` would cut what the run has logged.
    """
    step = training.newest_step(directory.checkpoints)
    folder = directory.summaries / "eval"
    with told_when_full(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with plain_path(folder) as path:
            writer = tf.summary.create_file_writer(path)
            with writer.as_default(step=step):
                for name, picture in pictures.items():
                    tf.summary.image(f"images/{name}", picture[None])
            writer.close()


def _unfinished_lines(rows):
    """Returns a line for each fitted decoder that the model without a fit outdoes.

    D_K is the least error, so that the error with the prior's means bounds it from above.
    """
    bounds = {row["num_levels"]: row["distortion_mse"] for row in rows if row["decoder"] == "prior"}
    lines = []
    for row in rows:
        bound = bounds.get(row["num_levels"])
        if row["decoder"] == "refit" and row["distortion_mse"] is not None and bound:
            excess = row["distortion_mse"] / bound - 1.0
            if excess > 0.0:
                lines.append(
                    f"the decoder fitted to K = {row['num_levels']} is not at its floor: its error "
                    f"is {excess:.1%} above the upper bound of the prior's means; fit with more "
                    "steps (--refit_steps=N --refit_from_scratch)"
                )
    return lines


def _shown(model, rows):
    """Returns the rows of a table: of many levels those of some prefixes alone."""
    if model.num_levels < MANY_LEVELS:
        return rows
    return [row for row in rows if row["num_levels"] in model.prefixes or row["decoder"] == REFIT]


def _table(rows, rate_unit):
    """Returns the rows as a table with units, the one of rates that is named first."""
    # Coarse prefixes have little of it.
    rates = [rate._replace(digits=5) for rate in rates_from(rate_unit)]
    lines = [("decoder", "K", "resolution", *(q.title for q in rates), "mse", PSNR.title)]
    for row in rows:
        side = row["resolution"]
        at_most = "<= " if bounds_prefixes(row) else ""
        numbers = [at_most + quantity.text(row) for quantity in rates]
        numbers += [quantity.text(row) for quantity in (DISTORTION, PSNR)]
        lines.append((row["decoder"], str(row["num_levels"]), f"{side}x{side}", *numbers))
    return text_table(lines)
