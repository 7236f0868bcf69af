"""The evaluation of a run on a split: likelihood, constraints, and what else is asked for."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from pcvae import data, measure, models, training
from pcvae.checks import check_folder, check_integer
from pcvae.errors import UserError
from pcvae.files import write_json
from pcvae.progress import progress_of
from pcvae.quantities import EXACT_PREFIXES, evaluation_table, rate_notes
from pcvae.runs.frechet import checked_arguments, frechet_lines, frechet_record
from pcvae.runs.import_lpips import read_lpips
from pcvae.runs.load import load_run
from pcvae.runs.report import check_report_files, health_of, write_report
from pcvae.runs.run_directory import RunDirectory
from pcvae.runs.run_pictures import attempted


def evaluate(
    *,
    run_dir: str | os.PathLike,
    split: str = "test",
    num_images: int | None = None,
    seed: int = 0,
    spec: str | None = None,
    batch_size: int | None = None,
    output: str | os.PathLike | None = None,
    importance_samples: int | None = None,
    frechet: Mapping[str, Any] | None = None,
    perceptual: Mapping[str, Any] | None = None,
    fallback: bool = True,
    strategy: tf.distribute.Strategy | None = None,
) -> dict[str, Any]:
    """Evaluates the averaged weights of a run on a split of its dataset.

    Args:
        run_dir: a directory that `train` left.
        split: "train", "validation" or "test".
        num_images: how many images, the first ones; None for all.
        seed: integer, of the posterior and of samples.
        spec: another dataset, as `data.from_spec` takes it, or None.
        batch_size: images at once; None for that of training.
        output: the JSON file that is written, over what is there. None for
            ``results/evaluation.json`` in the run directory, and ``report.html`` there, if all
            images of the test split of the run's own data are evaluated; a quick look at others
            gets a file that names them, such as ``results/evaluation_train_64_images.json``.
        importance_samples: None, or K: then the importance-weighted bound is computed, too.
        frechet: None, or a dict of arguments of `frechet_record`, its own ``split`` among them:
            then samples are measured against the dataset, too.
        perceptual: None, or a dict with ``metrics`` and ``lpips_weights``: then reconstructions are
            compared with their images by `measure.PerceptualEvaluation`, too.
        fallback: whether an older checkpoint will do; see `load`.
        strategy: a `tf.distribute.Strategy`; by default one device.

    Returns:
        The record that is written. ``data`` in it is the origin of the dataset, the arguments of
        `data.from_spec`.

    Raises:
        UserError: the run is damaged, or an argument does not fit it.
    """
    directory = RunDirectory(run_dir)
    run, strategy = directory.run(), strategy or training.make_strategy("one_device")
    check_folder(Path(output).parent if output else directory.results, "output")
    check_report_files(directory, "evaluation")
    with strategy.scope():
        loaded = load_run(run_dir, fallback)
        model = loaded.model
        dataset = directory.dataset(model.image_shape, spec)
        count = dataset.num_images(split)
        if num_images is not None and check_integer("num_images", num_images, 1) > count:
            raise UserError(f"num_images: the {split} split has {count} images, got {num_images}")
        own_data = directory.has_data(dataset.origin)
        some = None if num_images == count else num_images
        suffix = directory.suffix(split, some, dataset.origin)
        path = Path(output or directory.result(f"evaluation{suffix}"))
        batch_size = batch_size or run["batch_size"]
        if frechet is not None:
            constraints = run.get("constraints", ())
            frechet = checked_arguments(model, dataset, constraints=constraints, **frechet)
        importance = importance_samples and measure.ImportanceWeightedEvaluation(
            model, importance_samples, batch_size
        )
        measured = perceptual and _perceptual(model, batch_size, **perceptual)
        likelihood = measure.LikelihoodEvaluation(model, batch_size)
        record = evaluate_split(likelihood, dataset, loaded.step, split, seed, num_images)
        lines = []
        if importance:
            images = dataset.images(split)[:num_images]
            record |= importance(images, seed, progress_of("importance samples, batches"))
            lines.append(f"importance-weighted bound: {importance_samples:,} samples per image")
        if measured:
            distances, protocol = measured
            images = dataset.images(split)[:num_images]
            record |= distances(images, seed, progress_of("perceptual distances, batches"))
            record["perceptual_protocol"] = protocol
        if frechet is not None:
            record |= frechet_record(model, dataset, seed=seed, batch_size=batch_size, **frechet)
            lines += frechet_lines(record)
            if frechet["decompose"]:
                lines += measure.decomposition_lines(record)
    constraints = run.get("constraints", [])
    if constraints and own_data:  # of other images nobody has promised anything
        record["constraints"] = measure.constraint_results(
            constraints, record, model.image_shape, loaded.multipliers
        )
    write_json(record, path)
    images = "1 image" if record["num_images"] == 1 else f"{record['num_images']:,} images"
    print(
        f"{images} of the {split} split of {dataset.name}, averaged weights of "
        f"step {loaded.step:,}, seed {seed}"
    )
    print(evaluation_table(record), *lines, *rate_notes(record), sep="\n")
    findings = health_of(directory, record)
    print(*measure.health_lines(findings), f"wrote {path}", sep="\n")
    if suffix and output is None:
        print(f"{directory.evaluation_json} is for the whole test split, and stays as it was")
    elif output is None:
        for page in attempted(lambda: [write_report(directory)], "the report", []):
            print(f"wrote {page}")
    return record


def evaluate_split(
    likelihood: measure.LikelihoodEvaluation,
    dataset: data.ImageDataset,
    step: int,
    split: str,
    seed: int,
    num_images: int | None = None,
) -> dict[str, Any]:
    """Returns the record of an evaluation of the first images, with progress on the way."""

    progress = progress_of(f"evaluating the {split} split, batches")
    record = likelihood(dataset.images(split)[:num_images], seed=seed, progress=progress)
    model = likelihood.model
    return {
        "data": dataset.origin,
        "split": split,
        "seed": seed,
        "weights": "ema",
        "step": step,
        **shape_fields(model),
        **record,
    }


def shape_fields(model: models.HierarchicalModel) -> dict[str, Any]:
    """Returns what a record says of the images and levels of a model.

    ``level_groups`` are there where they are others than the resolutions, and it is said where
    rates of prefixes are upper bounds.
    """
    groups, resolutions = list(model.level_groups), list(model.level_resolutions)
    return {
        "image_shape": list(model.image_shape),
        "level_resolutions": resolutions,
        **({} if groups == resolutions else {"level_groups": groups}),
        **({} if model.rates_of_prefixes_are_exact else {EXACT_PREFIXES: False}),
    }


def _perceptual(model, batch_size, metrics, lpips_weights=None):
    """Returns the evaluation of perceptual distances and its protocol."""
    lpips, protocol = None, {"reconstruction": "mean of the head, not rounded"}
    if lpips_weights is not None:
        lpips, protocol["lpips"] = read_lpips(lpips_weights)
    return measure.PerceptualEvaluation(model, metrics, lpips, batch_size), protocol
