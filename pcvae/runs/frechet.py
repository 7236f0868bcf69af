"""Frechet and kernel distance between a model's samples and a split of a dataset."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pcvae import data, measure, models, training
from pcvae.checks import check_integer, check_seed
from pcvae.errors import UserError
from pcvae.progress import progress_of
from pcvae.runs.drawn_samples import InTurn, Samples
from pcvae.runs.find_extractor import IN_DOMAIN, find_extractor
from pcvae.runs.load import load
from pcvae.runs.reference_features import images_sha256, reference_features
from pcvae.runs.run_directory import RunDirectory

MAX_SAMPLES = 50_000  # by default no more, as is usual
CONDITION_SPLIT = "test"  # ours: what a conditional model is given comes from held-out images


def frechet(
    *,
    run_dir: str | os.PathLike,
    spec: str | None = None,
    strategy: tf.distribute.Strategy | None = None,
    fallback: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """Measures the averaged weights of a run; see `frechet_record`.

    Args:
        run_dir: a directory that `train` left.
        spec: another dataset, as `data.from_spec` takes it, or None.
        strategy: a `tf.distribute.Strategy`; by default one device.
        fallback: whether an older checkpoint will do; see `load`.
        **options: those of `frechet_record`.

    Returns:
        The record of `frechet_record`.
    """
    strategy = strategy or training.make_strategy("one_device")
    with strategy.scope():
        model = load(run_dir, fallback)
        directory = RunDirectory(run_dir)
        dataset = directory.dataset(model.image_shape, spec)
        constraints = directory.run().get("constraints", ())
        return frechet_record(model, dataset, constraints=constraints, **options)


def frechet_record(
    model: models.HierarchicalModel,
    dataset: data.ImageDataset,
    *,
    seed: int = 0,
    weights: str = "ema",
    batch_size: int = 64,
    **asked: Any,
) -> dict[str, Any]:
    """Measures the distance between samples of a model and images, in the current strategy.

    Neither the size of the batches nor the number of replicas changes the result.

    Args:
        model: what has ``sample(num_samples, temperature, seed, first_sample=..., pixels=...)`` and
            ``image_shape``. Of a conditional model, sample i is given what follows from image i of
            the test split, from the start again after the last.
        dataset: an `ImageDataset`.
        seed: integer, of the samples and of the subsets of the kernel distance.
        weights: "ema" or "raw", what the protocol says about the model's weights.
        batch_size: images at once over all replicas.
        **asked: what is measured against what; the arguments of `checked_arguments`.

    Returns:
        A dict with ``frechet_distance``, ``kernel_distance``, ``kernel_distance_stderr`` and
        ``frechet_protocol``: everything that the numbers hang on. With a decomposition also its
        parts, see `measure.decompose`, and ``frechet_decomposition_protocol``; by an extractor that
        reads digits also ``legible_share`` and ``legible_share_of_data``.

    Raises:
        UserError: an argument is out of range, the extractor does not fit, there are fewer than two
            images, or the condition of the model does not follow from images.
    """
    seed, batch_size = check_seed(seed), check_integer("batch_size", batch_size, 1)
    checked = checked_arguments(model, dataset, **asked)
    extractor, split = checked["extractor"], checked["split"]
    count, num_samples = checked["num_images"], checked["num_samples"]
    temperature, pixels = checked["temperature"], checked["pixels"]
    conditioning = _conditioning_images(model, dataset)
    images = dataset.images(split)[:count]
    data_sha256 = images_sha256(images)
    prefix = checked["decompose"]
    views = measure.extractor_views(extractor, model.image_shape) if prefix else {"": extractor}
    reading = {"legible": extractor.legibility} if extractor.legibility else {}
    seen = {**views, **reading}
    for view in seen.values():
        view.check(model.image_shape)
    reference = {
        end: reference_features(
            images,
            data_sha256,
            view,
            batch_size,
            progress_of(f"features of the {split} split, batches"),
        )
        for end, view in seen.items()
    }
    samples = measure.collect_views(
        Samples(model, num_samples, temperature, seed, pixels, conditioning),
        seen,
        batch_size,
        progress_of("drawing samples and their features, batches"),
    )
    distance, error = measure.kernel_distance(samples[""].kept, reference[""].kept, seed)
    parts = {}
    if reading:
        parts |= measure.legible_shares(samples["legible"], reference["legible"])
    if prefix:
        temperatures = model.temperatures(temperature)
        parts |= measure.decompose(
            measure.DecomposedSamples(model, prefix, views, temperatures, pixels, batch_size),
            InTurn(images, num_samples),
            samples,
            reference,
            seed,
            progress_of("drawing samples whose first levels are posteriors', batches"),
        )
        parts["frechet_decomposition_protocol"] = {
            **prefix._asdict(),
            "posteriors": f"of the first {min(count, num_samples):,} images of the {split} split",
        }
    num_features = samples[""].statistics.num_features
    counts = {"samples": num_samples, "reference": count}
    return {
        **{
            f"frechet_distance{end}": measure.frechet_distance(
                samples[end].statistics, reference[end].statistics
            )
            for end in views
        },
        "kernel_distance": distance,
        "kernel_distance_stderr": error,
        **parts,
        "frechet_protocol": {
            "num_samples": num_samples,
            "num_images": count,
            "data": dataset.origin,
            "split": split,
            "data_sha256": data_sha256,
            **extractor.protocol(model.image_shape),
            "rounded_to_8_bits": True,
            "pixels": "mean of the head" if pixels == "mean" else "samples of the head",
            "temperature": np.asarray(temperature).tolist(),
            "weights": weights,
            "seed": seed,
            **_condition_protocol(model, conditioning),
            "validity": [
                *measure.validity(counts, num_features),
                *_doubts_about_conditions(conditioning, split, num_samples),
            ],
        },
    }


def frechet_lines(record: Mapping[str, Any]) -> list[str]:
    """Returns the numbers of a record and what they hang on, as lines."""
    protocol, error = record["frechet_protocol"], record["kernel_distance_stderr"]
    kernel = f"{record['kernel_distance']:.5f}" + ("" if error is None else f" +- {error:.5f}")
    size = protocol["num_features"]
    return [
        f"Frechet distance {record['frechet_distance']:.4f}, kernel distance {kernel} "
        f"({size} features of {protocol['extractor']}): {protocol['num_samples']:,} samples, "
        f"{protocol['pixels']}, temperature {protocol['temperature']}, {protocol['weights']} "
        f"weights, against "
        f"{protocol['num_images']:,} images of the {protocol['split']} split; resize "
        f"{protocol['resize']}",
        *protocol["validity"],
    ]


def checked_arguments(
    model: models.HierarchicalModel,
    dataset: data.ImageDataset,
    *,
    extractor: Any = IN_DOMAIN,
    resize: str | None = None,
    sha256: str | None = None,
    split: str = "train",
    num_samples: int | None = None,
    num_images: int | None = None,
    temperature: float = 1.0,
    pixels: str = "sample",
    decompose: Any = False,
    constraints: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Returns arguments of `frechet_record` with the extractor found and the numbers filled in.

    Args:
        model: see `frechet_record`.
        dataset: see `frechet_record`.
        extractor: where the features come from; see `find_extractor`.
        resize: how images are resized for it, or None.
        sha256: of its file, or None.
        split: of the dataset.
        num_samples: how many samples; None for as many as images, at most 50,000, and of a
            conditional model at most as many as conditions.
        num_images: how many images of the split, the first ones; None for all.
        temperature: of the samples; one number, or one per level.
        pixels: "sample" draws them from the head, "mean" takes its mean.
        decompose: whether the distance is decomposed, or at which prefix; see
            `measure.decomposed_prefix`.
        constraints: those of the run, as in ``run.json``: by default a distance is decomposed
            where their prefixes end.

    Returns:
        A dict of the arguments after ``dataset``, which `frechet_record` takes again.

    Raises:
        UserError: see `frechet_record`; before anything takes long.
    """
    conditioning = _conditioning_images(model, dataset)
    if conditioning is not None:
        _check_natural(model, conditioning)
    # Draws nothing, but checks the arguments.
    Samples(model, 0, temperature, 0, pixels, conditioning).check()
    count = dataset.num_images(split)
    if count < 2:
        raise UserError(f"Frechet distance: expected 2 images or more, the {split} split has one")
    if num_images is not None:
        count = check_integer("num_images", num_images, 2, count)
    if num_samples is None:
        num_samples = min(count, MAX_SAMPLES)
        if conditioning is not None:
            num_samples = max(2, min(num_samples, len(conditioning)))
    return {
        "extractor": find_extractor(extractor, model.image_shape, resize, sha256),
        "split": split,
        "num_samples": check_integer("num_samples", num_samples, 2),
        "num_images": count,
        "temperature": temperature,
        "pixels": pixels,
        "decompose": decompose
        and measure.decomposed_prefix(
            model, decompose, [constraint.get("num_levels") for constraint in constraints]
        ),
    }


def _conditioning_images(model, dataset):
    """Returns the images that the conditions of samples follow from; None for a model without."""
    if getattr(model, "condition", None) is None:
        return None
    return dataset.images(CONDITION_SPLIT)


def _check_natural(model, images):
    try:
        model.natural_condition(np.asarray(images[:1]))
    except UserError as error:
        raise UserError(
            f"Frechet distance: this model is given {model.condition.in_words}, which do not "
            "follow from images: draw samples with pcvae-sample, or measure the composition of its "
            "stages"
        ) from error


def _condition_protocol(model, images):
    if images is None:
        return {}
    text = f"of the {len(images):,} images of the {CONDITION_SPLIT} split, in turn"
    return {"condition": f"{model.condition.in_words} {text}"}


def _doubts_about_conditions(images, split, num_samples):
    """Returns a sentence for each thing that conditions do to the distance."""
    if images is None:
        return []
    doubts = []
    if len(images) < num_samples:
        doubts.append(f"conditions repeat: {len(images):,} for {num_samples:,} samples")
    if split == CONDITION_SPLIT:
        doubts.append("conditions are those of the reference images themselves")
    return doubts
