"""Features of images, for distances between sets of them: the extractor and its statistics."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pcvae.checks import check_bytes
from pcvae.errors import UserError
from pcvae.measure.frechet import (
    MAX_SUBSET_SIZE,
    NUM_SUBSETS,
    FeatureStatistics,
    distance_bytes,
)
from pcvae.measure.per_image import PerImageEvaluation

RESIZES = ("bilinear", "bicubic", "lanczos3", "area")
# As many features are kept for the kernel distance, which takes no more.
MAX_KEPT = NUM_SUBSETS * MAX_SUBSET_SIZE


class FeatureExtractor:
    """A function from images to features, with what a protocol must say about it.

    Images reach the function as uint8 [batch, height, width, channels] of the size that it takes.
    Another size is an error unless ``resize`` names a method: results hang on it, so that none is
    chosen silently. Resizing is antialiased and rounds to 8 bits. Grey images are repeated for a
    function that takes three channels; any other difference in channels is an error.
    """

    def __init__(
        self,
        function: Callable,
        name: str,
        input_shape: tuple = (None, None, None),
        resize: str | None = None,
        sha256: str | None = None,
        in_graph: bool = False,
        own_resize: str | None = None,
    ) -> None:
        """Keeps the parts; nothing is run.

        Args:
            function: uint8 [batch, height, width, channels] -> [batch, num_features].
            name: what stands in results.
            input_shape: (height, width, channels) that it takes, None for any.
            resize: one of ``RESIZES``, or None for images that have the size already.
            sha256: of its weights, or None if unknown; then no statistics are kept on disk.
            in_graph: whether it takes and returns tensors inside a graph; otherwise it gets arrays.
            own_resize: what the function itself does about the size, in words, or None.

        Raises:
            UserError: an unknown method, or no size to resize to.
        """
        if resize is not None and resize not in RESIZES:
            raise UserError(f"resize: expected one of {', '.join(RESIZES)}, got {resize!r}")
        if resize and None in input_shape[:2]:
            raise UserError(f"resize={resize}: the extractor {name} takes images of any size")
        self.name = name
        self.input_shape = tuple(input_shape)
        self.resize = resize
        self.sha256 = sha256
        # Of a network that reads digits, that of `legible_shares`.
        self.legibility: FeatureExtractor | None = None
        self._function, self._in_graph, self._own_resize = function, in_graph, own_resize
        self._num_features = None

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the features of images.

        Args:
            images: uint8 tensor [batch, height, width, channels]; `check` knows their shape.

        Returns:
            float32 [batch, num_features].
        """
        images = self._fitted(images)
        if self._in_graph:
            return tf.cast(self._function(images), tf.float32)
        features = tf.numpy_function(self._on_arrays, [images], tf.float32, stateful=False)
        return tf.ensure_shape(features, (images.shape[0], self._num_features))

    def check(self, image_shape: Sequence[int]) -> int:
        """Returns the number of features, after a try on two black images.

        Args:
            image_shape: (height, width, channels) of the images to come.

        Raises:
            UserError: the images do not fit the extractor, or it returns no features, or so many
                that no memory holds their covariances.
        """
        self._check_shape(image_shape)
        black = self._fitted(tf.zeros((2, *image_shape), tf.uint8))
        try:
            given = self._function(black) if self._in_graph else self._on_arrays(black.numpy())
            shape = tuple(given.shape)
        # A function or graph of the user's may fail in any way.
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(
                f"extractor {self.name}: fails on images of shape {list(black.shape[1:])}: {reason}"
            ) from error
        if len(shape) != 2 or shape[0] != 2 or not shape[1]:
            raise UserError(
                f"extractor {self.name}: expected features [images, features], got the shape "
                f"{shape} for 2 images"
            )
        what, taken = f"extractor {self.name} with {shape[1]:,} features", distance_bytes(shape[1])
        check_bytes(what, taken, "their covariances", ": take one with fewer features")
        self._num_features = shape[1]
        return shape[1]

    def protocol(self, image_shape: Sequence[int]) -> dict[str, Any]:
        """Returns what a result says about the extractor and what it did to the images."""
        size = self.input_shape[:2]
        resize = "none: the images have the extractor's size"
        if self._own_resize:
            resize = self._own_resize
        elif None not in size and size != tuple(image_shape[:2]):
            to = "x".join(map(str, size))
            resize = f"{self.resize}, antialiased, to {to}, then rounded to 8 bits"
        return {
            "extractor": self.name,
            "extractor_sha256": self.sha256,
            "num_features": self._num_features,
            "resize": resize,
            "channels": "grey, repeated 3 times" if self._repeats(image_shape) else "as they are",
        }

    def _on_arrays(self, images):
        return np.asarray(self._function(images), np.float32)

    def _repeats(self, image_shape):
        return image_shape[2] == 1 and self.input_shape[2] == 3

    def _fitted(self, images):
        if self._repeats(images.shape[1:]):
            images = tf.repeat(images, 3, axis=-1)
        size = self.input_shape[:2]
        if None in size or tuple(images.shape[1:3]) == size:
            return images
        resized = tf.image.resize(images, size, self.resize, antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)

    def _check_shape(self, image_shape):
        *size, channels = image_shape
        wanted = self.input_shape[2]
        if wanted not in (None, channels) and not self._repeats(image_shape):
            raise UserError(
                f"extractor {self.name}: takes images of {wanted} channels, got {channels}: "
                "choose an extractor for them"
            )
        differs = any(
            side is not None and side != own
            for side, own in zip(self.input_shape[:2], size, strict=True)
        )
        if differs and self.resize is None:
            takes = "x".join("any" if side is None else str(side) for side in self.input_shape[:2])
            raise UserError(
                f"extractor {self.name}: takes images of {takes}, got {size[0]}x{size[1]}: say how "
                f"they are resized (--extractor_resize={RESIZES[0]}), or choose another extractor"
            )


class ImageFeatures(NamedTuple):
    """What is left of the images of a set: all that distances need."""

    statistics: FeatureStatistics
    kept: np.ndarray  # float32 [at most MAX_KEPT, num_features], evenly spread over the set


def collect_features(
    images: Any, extractor: FeatureExtractor, batch_size: int = 64, progress: Callable | None = None
) -> ImageFeatures:
    """Runs an extractor over images, on all replicas of the current strategy.

    Args:
        images: uint8 array-like [num_images, height, width, channels]; see `PerImageEvaluation`.
        extractor: a `FeatureExtractor`.
        batch_size: images at once over all replicas.
        progress: None, or a function that wraps the list of batches it iterates over.

    Returns:
        `ImageFeatures`.

    Raises:
        UserError: the images do not fit, or a feature is not finite.
    """
    (features,) = collect_views(images, {"": extractor}, batch_size, progress).values()
    return features


def collect_views(
    images: Any,
    extractors: Mapping[str, Any],
    batch_size: int = 64,
    progress: Callable | None = None,
) -> dict[str, ImageFeatures]:
    """Runs several extractors over images that are read once; see `collect_features`.

    Args:
        images: see `collect_features`.
        extractors: {name: `FeatureExtractor` or `AfterAveraging`}.
        batch_size: see `collect_features`.
        progress: see `collect_features`.

    Returns:
        {name: `ImageFeatures`}.
    """
    image_shape = np.asarray(images[:1]).shape[1:]
    for extractor in extractors.values():
        extractor.check(image_shape)
    return features_of(_Extraction(extractors, batch_size), images, progress=progress)


def features_of(
    evaluation: PerImageEvaluation, images: Any, seed: int = 0, progress: Callable | None = None
) -> dict[str, ImageFeatures]:
    """Returns the `ImageFeatures` of each of the features that an evaluation computes.

    Args:
        evaluation: one whose values are features [batch, num_features], by name.
        images: what it is run over, as `collect_features` takes them.
        seed: integer, of the evaluation.
        progress: see `collect_features`.

    Raises:
        UserError: a feature is not finite.
    """
    count, start = len(images), 0
    statistics: dict[str, FeatureStatistics] = {}
    kept: dict[str, list[np.ndarray]] = {}
    places = np.unique(np.linspace(0, count - 1, min(count, MAX_KEPT)).round().astype(int))
    for batch in evaluation.batches(images, seed, progress):
        size = len(next(iter(batch.values())))
        inside = places[(places >= start) & (places < start + size)]
        for name, features in batch.items():
            if not np.isfinite(features).all():
                raise UserError(
                    f"features of images {start:,} to {start + size - 1:,} are not finite: take "
                    "another extractor"
                )
            own = statistics.setdefault(name, FeatureStatistics(features.shape[1]))
            own.update(features)
            kept.setdefault(name, []).append(features[inside - start])
        start += size
    return {
        name: ImageFeatures(own, np.concatenate(kept[name])) for name, own in statistics.items()
    }


class _Extraction(PerImageEvaluation):
    def __init__(self, extractors, batch_size):
        super().__init__(batch_size)
        self._extractors = extractors

    def _replica(self, batch, seed):
        return {name: extract(batch["images"]) for name, extract in self._extractors.items()}
