"""The cache of prepared images: one uncompressed, memory-mapped ``.npy`` for each split.

A source decodes or draws its images once. What is prepared lies in a folder whose name holds a
hash of everything that determines the content, so a changed source never meets old images. Files
appear under their final name only when they are complete: they are written beside it and renamed,
so that several processes may prepare the same source at once and a run that was killed leaves
nothing that could be taken for a result.
"""

import contextlib
import functools
import hashlib
import json
import os
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from pcvae.checks import can_be_folder
from pcvae.errors import UserError
from pcvae.progress import report

FORMAT_VERSION = 1
CACHE_VARIABLE = "PCVAE_CACHE_DIR"
DEFAULT_CACHE = "~/.cache/pcvae"


def cache_root(cache_dir: str | os.PathLike | None = None) -> Path:
    """Returns the cache folder: the argument, else PCVAE_CACHE_DIR, else ~/.cache/pcvae.

    Who has no home folder, or one that cannot be written, gets a temporary folder.

    Raises:
        UserError: there is none, either.
    """
    given = cache_dir or os.environ.get(CACHE_VARIABLE)
    root = os.path.expanduser(given or DEFAULT_CACHE)
    return Path(root) if given or can_be_folder(root) else _temporary_root()


@functools.cache
def _temporary_root():
    """Returns a folder of the user's own below the temporary one, and says so, once."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    try:
        root = Path(tempfile.gettempdir(), f"pcvae-cache-{user}")
        root.mkdir(mode=0o700, exist_ok=True)
        status = root.lstat()  # anybody may have put something there
    except OSError as error:
        raise UserError(
            f"no home folder to keep prepared images in, and no temporary one ({error}): set "
            f"{CACHE_VARIABLE} to a folder"
        ) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != user or status.st_mode & 0o022:
        raise UserError(
            f"no home folder to keep prepared images in, and {root} is somebody else's: set "
            f"{CACHE_VARIABLE} to a folder"
        )
    report(
        f"no home folder that can be written: prepared images are kept in {root}; "
        f"{CACHE_VARIABLE} names another folder"
    )
    return root


def content_hash(content: Mapping[str, Any]) -> str:
    """Returns a hash of what determines the content of a source.

    Args:
        content: a dict that JSON can write. The versions of the cache format and of the libraries
            that draw, decode and resize are added.
    """
    versions = {"format": FORMAT_VERSION, "pillow": PIL.__version__, "numpy": np.__version__}
    text = json.dumps({"content": content, "versions": versions}, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:20]


def cached_splits(
    folder: Path, splits: Iterable[str], image_shape: Sequence[int], prepare: Callable
) -> dict[str, np.ndarray]:
    """Returns the images of every split, preparing all of them if any is missing.

    Args:
        folder: the cache folder of this source and content.
        splits: names of the splits.
        image_shape: (height, width, channels).
        prepare: a function that gets a dict from split to ``SplitWriter`` and writes every image.

    Returns:
        A dict from split to a read-only uint8 memory map [num_images, height, width, channels].

    Raises:
        UserError: if the cache folder cannot be written.
    """
    folder = Path(folder)
    paths = {split: folder / f"{split}.npy" for split in splits}
    arrays: dict[str, Any] = {split: _open(path, image_shape) for split, path in paths.items()}
    if any(array is None for array in arrays.values()):
        with contextlib.ExitStack() as stack:
            prepare(
                {
                    split: stack.enter_context(SplitWriter(path, image_shape))
                    for split, path in paths.items()
                }
            )
        arrays = {split: _open(path, image_shape) for split, path in paths.items()}
    return arrays


class SplitWriter:
    """Writes the images of one split; the file appears when the ``with`` block ends in peace."""

    def __init__(self, path: Path, image_shape: Sequence[int]) -> None:
        self.count = 0
        self._path = Path(path)
        self._image_shape = tuple(image_shape)
        self._file = None

    def __enter__(self):
        with self._explained_errors():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unique = f".{self._path.stem}-{os.getpid()}-{uuid.uuid4().hex[:8]}.part"
            self._part = self._path.with_name(unique)
            self._file = open(self._part, "xb")
            self._write_header()
        return self

    def write(self, image: np.ndarray) -> None:
        """Appends one uint8 image [height, width, channels]."""
        if image.dtype != np.uint8 or image.shape != self._image_shape:
            raise ValueError(
                f"expected a uint8 image of shape {self._image_shape}, "
                f"got {image.dtype} of shape {image.shape}"
            )
        with self._explained_errors():
            self._file.write(image.tobytes())
        self.count += 1

    def __exit__(self, error_type, error, traceback):
        try:
            if error_type is None:
                with self._explained_errors():
                    # NumPy pads the header for a first axis of any length: it fits its old place.
                    self._file.seek(0)
                    self._write_header()
                    self._file.flush()
                    os.fsync(self._file.fileno())
                    self._file.close()
                    os.replace(self._part, self._path)
        finally:
            with contextlib.suppress(OSError):
                self._file.close()
            self._part.unlink(missing_ok=True)

    def _write_header(self):
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self._image_shape)}
        np.lib.format.write_array_header_1_0(self._file, header)

    @contextlib.contextmanager
    def _explained_errors(self):
        try:
            yield
        except OSError as error:
            raise UserError(
                f"cannot write prepared images to {str(self._path)!r}: {error.strerror or error}; "
                f"free some space there or set {CACHE_VARIABLE} to another folder"
            ) from error


def _open(path, image_shape):
    """Returns a read-only memory map, or None if there is no file that holds what it promises."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[1:] != tuple(image_shape):
        return None
    return array
