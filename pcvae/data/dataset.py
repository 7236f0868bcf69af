"""The one interface of every source of images."""

import abc
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pcvae.checks import check_integer
from pcvae.data.cache import cache_root, cached_splits, content_hash
from pcvae.errors import UserError

SPLITS = ("train", "validation", "test")


class ImageDataset(abc.ABC):
    """Square images of one size in the splits train, validation and test.

    A source says at construction what its images are like, and writes them in ``_prepare``, which
    runs once: the result is cached on disk and memory-mapped from then on. So random access is
    free, whatever the source, and a training run that resumes reads nothing twice.

    Attributes:
        name: what the source is, for people: ``"folder:photos"``.
        image_shape: (height, width, channels).
        splits: names of the splits.
        origin: the arguments of ``from_spec`` that give this dataset again, from any working
            directory, or None.
    """

    splits = SPLITS
    origin = None

    def __init__(
        self,
        name: str,
        image_shape: Sequence[int],
        content: dict,
        cache_dir: str | os.PathLike | None = None,
    ) -> None:
        """Describes the source.

        Args:
            name: what the source is, for people.
            image_shape: (height, width, channels).
            content: a dict of everything that determines the images (JSON can write it).
            cache_dir: where prepared images are kept; by default the environment variable
                PCVAE_CACHE_DIR, or ~/.cache/pcvae.
        """
        self.name = name
        self.image_shape = tuple(image_shape)
        kind = name.partition(":")[0]
        digest = content_hash({**content, "kind": kind, "image_shape": list(self.image_shape)})
        self._cache_folder = cache_root(cache_dir) / f"{kind}-{digest}"
        self._arrays = None

    def images(self, split: str) -> np.ndarray:
        """Returns every image of a split, in a fixed order.

        The first call prepares all splits and prints its progress; later calls, in this process or
        another, open a file.

        Args:
            split: ``"train"``, ``"validation"`` or ``"test"``.

        Returns:
            A read-only uint8 array [num_images, height, width, channels].

        Raises:
            UserError: if there is no such split, or the source cannot be read.
        """
        if split not in self.splits:
            known = ", ".join(self.splits)
            raise UserError(f"{self.name} has no split {split!r}; it has {known}")
        if self._arrays is None:
            self._arrays = self._load()
        return self._arrays[split]

    def num_images(self, split: str) -> int:
        """Returns the number of images in a split, preparing the source if need be."""
        return len(self.images(split))

    @abc.abstractmethod
    def _prepare(self, writers):
        """Writes every image: ``writers[split].write(image)``, uint8 [height, width, channels]."""

    def _load(self):
        """Returns a dict from split to memory map, prepared now or earlier."""
        return cached_splits(self._cache_folder, self.splits, self.image_shape, self._prepare_all)

    def _prepare_all(self, writers):
        self._prepare(writers)
        empty = [split for split, writer in writers.items() if writer.count == 0]
        if empty:
            raise UserError(
                f"{self.name} leaves no image for the split {empty[0]!r}; add images or choose "
                "other fractions"
            )


def check_image_size(image_size: Any) -> int:
    """Returns an image size, the side in pixels from 1 to 4096; see `checks.check_integer`."""
    return check_integer("image_size", image_size, 1, 4096)
