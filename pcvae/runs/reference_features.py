"""Features of the images that samples are measured against, computed once and kept on disk."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pcvae import data, measure
from pcvae.data.cache import REMEDY
from pcvae.errors import UserError
from pcvae.files import write_arrays
from pcvae.measure.features import ImageFeatures

CACHE_VERSION = 1


def images_sha256(images: np.ndarray) -> str:
    """Returns the SHA-256 of the shape and the pixels of images."""
    digest = hashlib.sha256(f"{images.shape}\n".encode())
    for start in range(0, len(images), 1024):
        digest.update(np.ascontiguousarray(images[start : start + 1024]))
    return digest.hexdigest()


def reference_features(
    images: Any,
    data_sha256: str,
    extractor: measure.FeatureExtractor,
    batch_size: int,
    progress: Callable | None = None,
) -> ImageFeatures:
    """Returns the `ImageFeatures` of a reference, from the cache if they are known.

    The cache knows them by the hashes of the images and of the extractor; where the latter has
    none, as a function of Python, they are computed each time.

    Args:
        images: uint8 array-like [num_images, height, width, channels].
        data_sha256: what `images_sha256` returns for them.
        extractor: a `FeatureExtractor` that was checked for them.
        batch_size: images at once over all replicas.
        progress: see `measure.collect_features`.

    Raises:
        UserError: the cache folder cannot be written.
    """
    what = {
        "version": CACHE_VERSION,
        "tensorflow": tf.__version__,
        "images": data_sha256,
        **extractor.protocol(images.shape[1:]),
    }
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:20]
    path = data.cache_root() / "features" / f"{digest}.npz"
    cached = _read_features(path) if extractor.sha256 else None
    if cached is not None:
        return cached
    features = measure.collect_features(images, extractor, batch_size, progress)
    if extractor.sha256:
        _write_features(path, features)
    return features


def _read_features(path):
    """Returns the features of a file, or None if there are none."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            statistics = measure.FeatureStatistics(len(arrays["sum"]))
            statistics.count = int(arrays["count"])
            statistics.sum, statistics.outer = arrays["sum"], arrays["outer"]
            return ImageFeatures(statistics, arrays["kept"])
    # A file that was damaged fails in many ways; it is made anew.
    except Exception:
        return None


def _write_features(path, features):
    statistics = features.statistics
    try:
        write_arrays(
            path,
            REMEDY,
            count=statistics.count,
            sum=statistics.sum,
            outer=statistics.outer,
            kept=features.kept,
        )
    except OSError as error:
        raise UserError(
            f"cannot write features to {path}: {error.strerror or error}; {REMEDY}"
        ) from error
