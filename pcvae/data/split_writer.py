"""The file of one split, written image by image, and what splits have in common."""

import contextlib
import hashlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pcvae.errors import UserError
from pcvae.files import FREE_SPACE, new_file, printable


class SplitWriter:
    """Writes the images of one split; the file appears when the ``with`` block ends in peace.

    Args:
        path: the ``.npy`` that is written, or replaced.
        image_shape: (height, width, channels).
        remedy: what helps where the file cannot be written.

    Attributes:
        count: the number of images so far.
    """

    def __init__(self, path: Path, image_shape: Sequence[int], remedy: str = FREE_SPACE) -> None:
        self.count = 0
        self._path = Path(path)
        self._image_shape = tuple(image_shape)
        self._remedy = remedy
        self._file = None
        self._digests = array("Q")
        self._names: list[Any] = []

    def __enter__(self):
        with explained_errors(self._path, self._remedy), contextlib.ExitStack() as stack:
            part = stack.enter_context(new_file(self._path, self._remedy))
            self._file = stack.enter_context(part.open("xb"))
            self._write_header()
            self._unfinished = stack.pop_all()
        return self

    def write(self, image: np.ndarray, name: Any = None) -> None:
        """Appends one uint8 image [height, width, channels].

        Args:
            image: the image.
            name: what it is called; by default its place in the split.
        """
        if image.dtype != np.uint8 or image.shape != self._image_shape:
            raise ValueError(
                f"expected a uint8 image of shape {self._image_shape}, "
                f"got {image.dtype} of shape {image.shape}"
            )
        content = image.tobytes()
        with explained_errors(self._path, self._remedy):
            self._file.write(content)
        digest = hashlib.blake2b(content, digest_size=8).digest()
        self._digests.append(int.from_bytes(digest, "little"))
        self._names.append(self.count if name is None else name)
        self.count += 1

    def shared_with(self, other: "SplitWriter") -> list[Any]:
        """Returns the names of the images that are in another split, too, pixel by pixel."""
        found = np.isin(np.asarray(self._digests), np.asarray(other._digests))
        return [self._names[i] for i in np.flatnonzero(found)]

    def __exit__(self, error_type, error, traceback):
        if error_type is not None:
            with contextlib.suppress(OSError):  # what ends the block is told, and not that
                self._file.close()
            self._unfinished.__exit__(error_type, error, traceback)
            return
        with explained_errors(self._path, self._remedy), self._unfinished:
            # NumPy pads the header for a first axis of any length: it fits its old place.
            self._file.seek(0)
            self._write_header()

    def _write_header(self):
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self._image_shape)}
        np.lib.format.write_array_header_1_0(self._file, header)


@contextlib.contextmanager
def explained_errors(path: Path, remedy: str) -> Iterator[None]:
    """Raises errors of the disk in the block as a UserError that names the file and a remedy."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write prepared images to {printable(path)!r}: {error.strerror or error}"
            f"{remedy and '; '}{remedy}"
        ) from error


def shared_images(writers: Mapping[str, SplitWriter]) -> list[str]:
    """Returns a line for each two splits that have images in common.

    Args:
        writers: a dict from split to its writer, complete.
    """
    lines = []
    splits = list(writers)
    for position, split in enumerate(splits):
        for other in splits[:position]:
            names = writers[split].shared_with(writers[other])
            if names:
                lines.append(
                    f"warning: {len(names)} of the {writers[split].count} images of {split} are in "
                    f"{other}, too, pixel by pixel; the first is {names[0]!r}"
                )
    return lines
