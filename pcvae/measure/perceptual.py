"""How far reconstructions are from their images, as people see it: SSIM, MS-SSIM and LPIPS."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pcvae import units
from pcvae.distributions.noise import SeededNoise
from pcvae.errors import UserError
from pcvae.measure.likelihood import mean_with_error
from pcvae.measure.lpips import LPIPS
from pcvae.measure.per_image import PerImageEvaluation
from pcvae.models.base import HierarchicalModel

METRICS = ("ssim", "ms_ssim", "lpips")
SSIM_WINDOW = 11
# Five scales, each half of the one before, the last at least a window wide.
MS_SSIM_MIN_SIDE = (SSIM_WINDOW - 1) * 2**4 + 1


class PerceptualEvaluation(PerImageEvaluation):
    """Compares the reconstructions of a model, by one posterior sample, with their images.

    Reconstructions are the head's means, not rounded, as for the MSE. SSIM (Wang et al. 2004) and
    MS-SSIM (Wang et al. 2003) are TensorFlow's, on [0, 1], with a Gaussian window of 11 pixels and
    sigma 1.5, averaged over channels. LPIPS takes RGB: grey is repeated, two channels gain a third
    of zeros, of four the first three are taken (ours).

    Args:
        model: a `VDVAE` or a model with its outputs.
        metrics: which of `METRICS`.
        lpips: an `LPIPS`, if it is among them.
        batch_size: images at once over all replicas.

    Raises:
        UserError: an unknown metric, or LPIPS without its weights.
    """

    def __init__(
        self,
        model: HierarchicalModel,
        metrics: Sequence[str] = METRICS,
        lpips: LPIPS | None = None,
        batch_size: int = 64,
    ) -> None:
        super().__init__(batch_size)
        unknown = [metric for metric in metrics if metric not in METRICS]
        if unknown or not metrics:
            raise UserError(
                f"perceptual: expected some of {', '.join(METRICS)}, got "
                f"{', '.join(map(str, metrics)) or 'none'}"
            )
        if "lpips" in metrics and lpips is None:
            raise UserError(
                "LPIPS needs its weights, which do not come with pcvae: --lpips_weights=FILE.npz, "
                "as pcvae-import-lpips writes it"
            )
        self.model = model
        self.lpips = lpips
        self.reasons = reasons(metrics, model.image_shape, lpips)
        self.metrics = [metric for metric in METRICS if metric in metrics]

    def __call__(
        self, images: np.ndarray, seed: int = 0, progress: Callable | None = None
    ) -> dict[str, Any]:
        """Evaluates images.

        Args:
            images: uint8 array-like [num_images, height, width, channels].
            seed: integer.
            progress: None, or a function that wraps the list of batches it iterates over.

        Returns:
            A dict: each metric with ``_stderr``; a metric that images of this size do not have is
            None and says why in ``_reason``.
        """
        record = {}
        possible = [metric for metric in self.metrics if metric not in self.reasons]
        values = self.per_image(images, seed, progress) if possible else {}
        for metric in self.metrics:
            if metric in values:
                record |= mean_with_error(metric, values[metric].astype(np.float64))
            else:
                record |= {metric: None, f"{metric}_stderr": None}
                record[f"{metric}_reason"] = self.reasons[metric]
        return record

    def _replica(self, batch, seed):
        images = batch["images"]
        output = self.model(images, noise=SeededNoise(seed, batch["first_example"]))
        return self.distances(images, output.reconstruction)

    def distances(self, images: tf.Tensor, reconstructions: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns {metric: float32 [batch]} of the metrics that images of this size have.

        Args:
            images: uint8 [batch, height, width, channels].
            reconstructions: float32 of the same shape, in [-1, 1].
        """
        first = units.signed_from_levels(images, bit_depth=8)
        unit = [(place + 1.0) / 2.0 for place in (first, reconstructions)]
        functions = {
            "ssim": lambda: tf.image.ssim(*unit, max_val=1.0, filter_size=SSIM_WINDOW),
            "ms_ssim": lambda: tf.image.ssim_multiscale(
                *unit, max_val=1.0, filter_size=SSIM_WINDOW
            ),
            "lpips": lambda: self.lpips(as_rgb(first), as_rgb(reconstructions)),
        }
        return {
            metric: functions[metric]() for metric in self.metrics if metric not in self.reasons
        }


def reasons(
    metrics: Sequence[str], image_shape: Sequence[int], lpips: LPIPS | None = None
) -> dict[str, str]:
    """Returns {metric: why images of a shape do not have it}."""
    size = f"{image_shape[0]}x{image_shape[1]}"
    least = {"ssim": SSIM_WINDOW, "ms_ssim": MS_SSIM_MIN_SIDE}
    words = {"ssim": f"a window of {SSIM_WINDOW} pixels", "ms_ssim": "five scales of such windows"}
    if lpips is not None:
        least["lpips"] = lpips.min_side
        words["lpips"] = f"the layers of {lpips.network}"
    return {
        metric: f"{words[metric]} need {least[metric]} pixels a side, the images have {size}"
        for metric in metrics
        if metric in least and min(image_shape[:2]) < least[metric]
    }


def as_rgb(images: tf.Tensor) -> tf.Tensor:
    """Returns images in [-1, 1] with three channels; see `PerceptualEvaluation`."""
    channels = images.shape[-1]
    if channels == 1:
        return tf.repeat(images, 3, axis=-1)
    if channels == 2:
        return tf.concat([images, -tf.ones_like(images[..., :1])], axis=-1)
    return images[..., :3]
