"""The one interface of every source of images."""

import abc
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pcvae.checks import check_integer
from pcvae.data.cache import cache_root, cached_splits, check_room, content_hash
from pcvae.data.file_hashes import FileHashes
from pcvae.errors import UserError
from pcvae.files import printable
from pcvae.progress import with_progress

SPLITS = ("train", "validation", "test")
T = TypeVar("T")


class ImageDataset(abc.ABC):
    """Square images of one size in the splits train, validation and test.

    A source says at construction what its images are like, and writes them in ``_prepare``, which
    runs once: the result is cached on disk and memory-mapped from then on. So random access is
    free, whatever the source, and a training run that resumes reads nothing twice. What determines
    the images is what the source says of itself and the bytes of its files, ``_files``.

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
        content: Mapping[str, Any],
        cache_dir: str | os.PathLike | None = None,
    ) -> None:
        """Describes the source.

        Args:
            name: what the source is, for people.
            image_shape: (height, width, channels).
            content: a dict of everything that determines the images beside the files (JSON can
                write it).
            cache_dir: where prepared images are kept; by default the environment variable
                PCVAE_CACHE_DIR, or ~/.cache/pcvae.
        """
        self.name = printable(name)
        self.image_shape = tuple(image_shape)
        self._content = content
        self._cache_root = cache_root(cache_dir)
        self._cache_folder = None
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
        """Writes every image by ``writers[split].write``, uint8 [height, width, channels].

        It goes through them by ``_counted``, and may return lines that are to be said of them.
        """

    def _files(self) -> tuple[Path, Mapping[str, str | os.PathLike]]:
        """Returns the place of the source, and by name the files there that it reads."""
        return Path(), {}

    def _counted(self, images: Iterable[T], total: int, label: str) -> Iterator[T]:
        """Yields what stands for each image with its progress, if the disk has room for so many."""
        check_room(self._cache_folder, total, self.image_shape, self.name)
        return with_progress(images, total, f"{self.name}: {label}")

    def _load(self):
        """Returns a dict from split to memory map, prepared now or earlier."""
        place, files = self._files()
        kind = self.name.partition(":")[0]
        content: dict[str, Any] = {
            **self._content,
            "kind": kind,
            "image_shape": list(self.image_shape),
        }
        sources = None
        if files:
            content["place"] = os.path.realpath(place)
            index = content_hash({"place": content["place"]})
            sources = FileHashes(self._cache_root / "hashes" / f"{index}.json")
            content["files"] = sources.of(files, self.name)
        self._cache_folder = self._cache_root / f"{kind}-{content_hash(content)}"

        def prepare(writers):
            lines = self._prepare(writers)
            self._check_none_is_empty(writers)
            if sources is not None:
                sources.check_unchanged()
            return lines

        return cached_splits(self._cache_folder, self.splits, self.image_shape, prepare, self.name)

    def _check_none_is_empty(self, writers):
        empty = [split for split, writer in writers.items() if writer.count == 0]
        if empty:
            raise UserError(
                f"{self.name} leaves no image for the split {empty[0]!r}; add images or choose "
                "other fractions"
            )


def check_image_size(image_size: Any) -> int:
    """Returns an image size, the side in pixels from 1 to 4096; see `checks.check_integer`."""
    return check_integer("image_size", image_size, 1, 4096)
