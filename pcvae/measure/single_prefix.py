"""One image from one prefix of its latents: what it looks like, what it costs, how close it is."""

from typing import Any

import numpy as np

from pcvae import units
from pcvae.models.base import HierarchicalModel


def single_prefix(
    model: HierarchicalModel, image: np.ndarray, num_levels: int, seed: int = 0
) -> tuple[np.ndarray, dict[str, Any]]:
    """Reconstructs one image from z_1:K and measures it.

    Args:
        model: a `VDVAE` or `StagedVAE`, or one whose condition follows from the image.
        image: uint8 [1, height, width, channels].
        num_levels: the prefix K.
        seed: integer, of the posterior.

    Returns:
        The reconstruction, uint8 [1, height, width, channels], and a dict: ``rate_bits`` and
        ``rate_bits_per_dim``, KL(q || p) of these levels for this image, and ``psnr_db`` of the two
        8-bit images, None where they are equal.
    """
    rate_nats = float(model.rate_per_level(image, seed)[0, :num_levels].sum(dtype=np.float64))
    reconstruction = model.reconstruct(image, num_levels, seed)
    (psnr_db,) = psnr_db_of_images(image, reconstruction)
    return reconstruction, {
        "rate_bits": units.nats_to_bits(rate_nats),
        "rate_bits_per_dim": units.bits_per_dim(rate_nats, model.image_shape),
        "psnr_db": float(psnr_db) if np.isfinite(psnr_db) else None,
    }


def psnr_db_of_images(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the PSNR of pairs of images, float64 [num_images]; infinite where they are equal.

    Args:
        images: uint8 [num_images, height, width, channels].
        others: as many.
    """
    error = np.square((others.astype(np.float64) - images) / units.HALF_RANGE).mean(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return units.psnr_db(error).numpy()
