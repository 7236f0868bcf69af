"""The negative ELBO, its parts and the rate of every level over a whole split."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pcvae import units
from pcvae.distributions.noise import SeededNoise
from pcvae.measure.per_image import PerImageEvaluation
from pcvae.models.base import HierarchicalModel
from pcvae.objectives import mse
from pcvae.quantities import DISTORTION, NEGATIVE_ELBO, NLL, PSNR, RATE, RATE_NATS_PER_DIM
from pcvae.wording import NATS, wording_of


class LikelihoodEvaluation(PerImageEvaluation):
    """Evaluates a model by one posterior sample per image; see `PerImageEvaluation`.

    Args:
        model: a `VDVAE` or a model with the same outputs.
        batch_size: images at once over all replicas.
    """

    def __init__(self, model: HierarchicalModel, batch_size: int = 64) -> None:
        super().__init__(batch_size)
        self.model = model

    def __call__(
        self, images: np.ndarray, seed: int = 0, progress: Callable | None = None
    ) -> dict[str, Any]:
        """Evaluates images.

        Args:
            images: uint8 array-like [num_images, height, width, channels].
            seed: integer.
            progress: None, or a function that wraps the list of batches it iterates over.

        Returns:
            A dict of the keys of ``results/evaluation.json``: means with ``_stderr``, the standard
            error of the mean over images.
        """
        return summarise(self.per_image(images, seed, progress), self.model.image_shape)

    def _replica(self, batch, seed):
        images = batch["images"]
        output = self.model(images, noise=SeededNoise(seed, batch["first_example"]))
        values = {
            "rate_per_level": output.rate_per_level,
            "mse": mse(images, output.reconstruction),
        }
        if output.nll is not None:
            values["nll"] = output.nll
        return values


def summarise(values: Mapping[str, np.ndarray], image_shape: Sequence[int]) -> dict[str, Any]:
    """Turns per-image values into the record of ``results/evaluation.json``.

    Args:
        values: arrays over images: ``rate_per_level`` [n, levels] nats, ``mse`` [n] and, for a
            head with a likelihood, ``nll`` [n] nats.
        image_shape: (height, width, channels).
    """
    values = {name: array.astype(np.float64) for name, array in values.items()}
    rate = values["rate_per_level"].sum(axis=1)
    terms = {"rate": rate}
    if "nll" in values:
        terms = {"negative_elbo": values["nll"] + rate, "nll": values["nll"], **terms}
    record = {"num_images": len(rate)}
    for name, nats in terms.items():
        record |= mean_with_error(f"{name}_bits_per_dim", units.bits_per_dim(nats, image_shape))
        record |= mean_with_error(f"{name}_nats", nats)
    record |= mean_with_error("rate_nats_per_dim", units.nats_per_dim(rate, image_shape))
    record |= mean_with_error("rate_nats_per_level", values["rate_per_level"])
    return record | distortion_means(values["mse"])


def distortion_means(mse_per_image: np.ndarray) -> dict[str, Any]:
    """Returns the mean of an mse [n] on [-1, 1] and of the PSNR, each with ``_stderr``.

    The mean PSNR is infinite, without an error, if an image is reconstructed exactly.
    """
    mse_per_image = mse_per_image.astype(np.float64)
    means = mean_with_error("distortion_mse", mse_per_image)
    if (mse_per_image == 0.0).any() and np.isfinite(mse_per_image).all():
        return means | {"psnr_db": math.inf, "psnr_db_stderr": None}
    with np.errstate(divide="ignore", invalid="ignore"):
        return means | mean_with_error("psnr_db", 10.0 * np.log10(4.0 / mse_per_image))


def headline(record: Mapping[str, Any]) -> str:
    """Returns the main numbers of a record in one line, with standard errors.

    A rate that has a target is told in the unit of the target.
    """
    close = f"mse {DISTORTION.text(record)}, psnr {PSNR.text(record)} {PSNR.unit}"
    in_nats = wording_of(record.get("constraints", ())).rate == NATS
    rate_of = RATE_NATS_PER_DIM if in_nats and NLL.key not in record else RATE
    rate = f"rate {rate_of.text(record)}"
    if NLL.key in record:
        total, nll = NEGATIVE_ELBO.text(record), NLL.text(record)
        return f"negative ELBO {total} {NEGATIVE_ELBO.unit} (nll {nll}, {rate}), {close}"
    return f"{rate} {rate_of.unit}, {close}"


def mean_with_error(name: str, values: np.ndarray) -> dict[str, Any]:
    """Returns {name: mean, name_stderr: its standard error} over the first axis, for JSON.

    The error of one value is unknown, None, and so is what is not finite.
    """
    count = len(values)
    error = values.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else values[0] * np.nan
    return {name: _plain(values.mean(axis=0)), f"{name}_stderr": _plain(error)}


def _plain(value):
    """Python numbers for JSON, None for what is not finite."""
    if np.ndim(value):
        return [_plain(item) for item in value]
    return float(value) if np.isfinite(value) else None
