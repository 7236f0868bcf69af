"""Writes a model as a SavedModel that needs nothing but TensorFlow."""

import json
import os
from typing import Any

import numpy as np
import tensorflow as tf

from pcvae.checks import check_integer
from pcvae.errors import UserError
from pcvae.export.description import describe, example, readme
from pcvae.export.endpoints import Endpoints
from pcvae.export.stablehlo import FILE, sample_as_stablehlo
from pcvae.files import new_folder, plain_path
from pcvae.models.base import HierarchicalModel
from pcvae.models.weights import check_finite

WEIGHTS_DTYPES = ("float32", "bfloat16", "float16")
RECORD = "export.json"
_NUM_IMAGES_MEASURED = 16


def export_model(
    model: HierarchicalModel,
    output: str | os.PathLike,
    *,
    weights_dtype: str = "float32",
    batch_size: int | None = None,
    xla: bool = False,
    stablehlo_num_samples: int | None = None,
) -> dict[str, Any]:
    """Writes a model as a SavedModel with a README.md, an example.py and an export.json.

    Loaded by TensorFlow alone it gives the images that the model gives for the same seed: bit for
    bit on a CPU with weights in float32 and without XLA. For other options the error is measured
    and written down.

    Args:
        model: a `VDVAE`, `ConditionalVDVAE` or `StagedVAE`.
        output: the directory, new or empty.
        weights_dtype: "float32", "bfloat16" or "float16": how the weights are held. They are cast
            to float32 at use, so that this halves files and memory, not time.
        batch_size: the one number of images that the endpoints take; 1 for least latency. None for
            any number.
        xla: whether sampling is compiled by XLA.
        stablehlo_num_samples: number of images of a further file, `sample` as StableHLO; None for
            no such file.

    Returns:
        The record that is written to ``export.json``.

    Raises:
        UserError: the output is not empty, an option does not fit the model, or a weight is not
            finite.
    """
    if weights_dtype not in WEIGHTS_DTYPES:
        raise UserError(
            f"weights_dtype: expected one of {', '.join(WEIGHTS_DTYPES)}, got {weights_dtype!r}"
        )
    if batch_size is not None:
        batch_size = check_integer("batch_size", batch_size, 1)
    if stablehlo_num_samples is not None:
        stablehlo_num_samples = check_integer("stablehlo_num_samples", stablehlo_num_samples, 1)
        if model.condition is not None:
            raise UserError("stablehlo: only models without a condition are exported as StableHLO")
    check_finite(model)
    options = {
        "weights_dtype": weights_dtype,
        "batch_size": batch_size,
        "xla": xla,
        "stablehlo_num_samples": stablehlo_num_samples,
    }
    with new_folder(output) as folder:
        endpoints = Endpoints(model, weights_dtype, batch_size, xla)
        exact = weights_dtype == "float32" and not xla
        error = None if exact else measure_error(model, endpoints, batch_size)
        with plain_path(folder) as path:
            tf.saved_model.save(endpoints, path, signatures=endpoints.signatures())
        record = describe(model, options, error)
        texts = {
            "README.md": readme(record),
            "example.py": example(record),
            RECORD: json.dumps(record, indent=2) + "\n",
        }
        if stablehlo_num_samples is not None:
            texts[FILE] = sample_as_stablehlo(model, stablehlo_num_samples)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    return record


def measure_error(
    model: HierarchicalModel, endpoints: Endpoints, batch_size: int | None = None
) -> dict[str, Any]:
    """Compares endpoints with the model on the model's own samples.

    Args:
        model: the model, with weights in float32.
        endpoints: its `Endpoints`.
        batch_size: that of the endpoints.

    Returns:
        A dict: differences of samples and of reconstructions, in pixel levels of 0..255, of equal
        seeds; and of the rates, in nats per image.
    """
    count = batch_size or _NUM_IMAGES_MEASURED
    seed, temperature = tf.constant([0, 0]), tf.ones(model.num_levels)
    condition = _stand_in_condition(model, count)
    given = [] if condition is None else [tf.constant(condition)]
    parts = []
    for start in range(0, _NUM_IMAGES_MEASURED, count):
        images = model.sample(count, batch_size=count, first_sample=start, condition=condition)
        batch = tf.constant(images), tf.constant(model.num_levels), seed
        numbers = tf.constant(start, tf.int64), tf.constant(count)
        samples = endpoints.sample_range(*numbers, temperature, seed, *given).numpy()
        expected = model.reconstruct(images, batch_size=count, condition=condition)
        actual = endpoints.reconstruct(*batch, *given).numpy()
        rates = model.rate_per_level(images, batch_size=count, condition=condition)
        own_rates = endpoints.rates(batch[0], seed, *given).numpy()
        of_samples = np.abs(samples.astype(int) - images)
        of_reconstructions = np.abs(actual.astype(int) - expected)
        parts.append((of_samples, of_reconstructions, rates.sum(axis=1), own_rates.sum(axis=1)))
    of_samples, of_reconstructions, rates, own_rates = map(np.concatenate, zip(*parts, strict=True))
    return {
        "num_images": len(rates),
        "sample_share_of_pixels_changed": float((of_samples > 0).mean()),
        "sample_mean_abs_levels": float(of_samples.mean()),
        "sample_max_abs_levels": int(of_samples.max()),
        "reconstruction_mean_abs_levels": float(of_reconstructions.mean()),
        "reconstruction_max_abs_levels": int(of_reconstructions.max()),
        "rate_mean_nats": float(rates.mean()),
        "rate_mean_abs_nats": float(np.abs(own_rates - rates).mean()),
    }


def _stand_in_condition(model, count):
    """Returns conditions for a measurement: grey images, zero features, all classes in turn."""
    if model.condition is None:
        return None
    spec = model.condition.spec
    if spec.dtype == tf.int32:
        return np.arange(count, dtype=np.int32) % model.condition.num_classes
    value = 128 if spec.dtype == tf.uint8 else 0
    return np.full((count, *spec.shape[1:]), value, spec.dtype.as_numpy_dtype)
