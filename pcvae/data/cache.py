"""The cache of prepared images: one uncompressed, memory-mapped ``.npy`` for each split.

A source decodes or draws its images once. What is prepared lies in a folder whose name holds a
hash of everything that determines the content: where the source is, the bytes of its files
(`file_hashes`), and how they are read. So a changed source never meets old images.

Files appear under their final name only when they are complete, and ``record.json``, which holds
their hashes, comes last. Whoever opens the folder compares them (`file_hashes` says what that costs
and what it cannot notice); what has changed is named, and all is prepared anew. One process fills a
folder, which holds its lock; others wait for it. What a killed one has left is swept by the next.
"""

import contextlib
import functools
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from pcvae import leftovers, locks
from pcvae.checks import can_be_folder, existing_part
from pcvae.data.file_hashes import FileHashes
from pcvae.data.split_writer import SplitWriter, explained_errors, shared_images
from pcvae.errors import UserError
from pcvae.files import printable, write_json
from pcvae.progress import report

# Raised when prepared images, their record or their meaning change: 2 has a record, colour
# profiles, one rule for 16 bits, and folders named as splits.
FORMAT_VERSION = 2
CACHE_VARIABLE = "PCVAE_CACHE_DIR"
DEFAULT_CACHE = "~/.cache/pcvae"
RECORD = "record.json"
INDEX = "hashes.json"
REMEDY = f"set {CACHE_VARIABLE} to a folder with room that can be written"


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


def check_room(folder: Path, num_images: int, image_shape: Sequence[int], name: str) -> None:
    """Raises UserError if prepared images would not fit on the disk of their folder.

    Args:
        folder: the cache folder of the source.
        num_images: over all splits.
        image_shape: (height, width, channels).
        name: what the source is, for the error.
    """
    needed = num_images * int(np.prod(image_shape, dtype=object))
    place = existing_part(os.path.abspath(folder))
    free = shutil.disk_usage(place).free
    if needed > free:
        side = "x".join(map(str, image_shape))
        raise UserError(
            f"{name}: {num_images:,} images of {side} take {_in_bytes(needed)} prepared, and "
            f"{printable(place)} has {_in_bytes(free)} free; take smaller images or {REMEDY}"
        )


def _in_bytes(count):
    size, unit = (1e9, "GB") if count >= 1e9 else (1e6, "MB") if count >= 1e6 else (1e3, "kB")
    return f"{count / size:,.1f} {unit}"


def cached_splits(
    folder: Path,
    splits: Iterable[str],
    image_shape: Sequence[int],
    prepare: Callable,
    name: str = "images",
) -> dict[str, np.ndarray]:
    """Returns the images of every split, preparing all of them if any is missing or has changed.

    Args:
        folder: the cache folder of this source and content.
        splits: names of the splits.
        image_shape: (height, width, channels).
        prepare: a function that gets a dict from split to ``SplitWriter``, writes every image, and
            may return lines that are to be said whenever the images are used.
        name: what the source is, for those lines.

    Returns:
        A dict from split to a read-only uint8 memory map [num_images, height, width, channels].

    Raises:
        UserError: if the cache folder cannot be written.
    """
    cached = _Cached(folder, splits, image_shape)
    if cached.fault() is not None:
        with locks.hold_in_turn(cached.folder, "the preparation of images", REMEDY):
            fault = cached.fault()  # another process may have filled it meanwhile
            if fault:
                report(f"{name}: {fault}: all are prepared anew")
            if fault is not None:
                _sweep_others(cached.folder)
                cached.fill(prepare, name)
                fault = cached.fault()
            if fault is not None:
                raise UserError(
                    f"{name}: images do not stay as they were prepared ({fault}): look after that "
                    f"disk, or set {CACHE_VARIABLE} to a folder on another one"
                )
    for line in cached.lines:
        report(f"{name}: {line}")
    return cached.arrays


class _Cached:
    """What lies in the folder of one source.

    Attributes:
        arrays: a dict from split to memory map, where `fault` has found none.
        lines: what is to be said of the images.
    """

    def __init__(self, folder, splits, image_shape):
        self.folder = Path(folder)
        self._paths = {split: self.folder / f"{split}.npy" for split in splits}
        self._image_shape = tuple(image_shape)
        self.arrays: dict[str, Any] = {}
        self.lines: list[str] = []

    def fault(self):
        """Reads it; returns None if all is whole, else what is wrong: "" if nothing was there."""
        record = self.folder / RECORD
        try:
            content = json.loads(record.read_text("utf-8"))
            hashes, self.lines = dict(content["sha256"]), list(content["lines"])
        except FileNotFoundError:
            return ""
        except (OSError, ValueError, TypeError, KeyError):
            return f"{printable(record)} cannot be read"
        index = FileHashes(self.folder / INDEX)
        found = index.of(self._paths, printable(self.folder))
        for split, path in self._paths.items():
            if found[split] is None:
                return f"{printable(path)} is gone"
            array = _open(path, self._image_shape)
            if array is None or found[split] != hashes.get(split):
                return f"{printable(path)} has changed since it was written"
            self.arrays[split] = array
        return None

    def fill(self, prepare, name):
        """Writes all files, the record last."""
        writers = {
            split: SplitWriter(path, self._image_shape, REMEDY)
            for split, path in self._paths.items()
        }
        with contextlib.ExitStack() as stack:
            lines = prepare({split: stack.enter_context(w) for split, w in writers.items()})
        hashes = FileHashes(self.folder / INDEX).of(self._paths, printable(self.folder))
        for line in shared_images(writers):
            report(f"{name}: {line}")
        with explained_errors(self.folder / RECORD, REMEDY):
            write_json({"sha256": hashes, "lines": lines or []}, self.folder / RECORD, REMEDY)


def _sweep_others(folder):
    """Removes what killed processes have left in other sources; writing sweeps the own folder."""
    for lock in folder.parent.glob(f"*/{locks.FILE_NAME}"):
        if lock.parent == folder:
            continue
        held = locks.hold(lock.parent, "the sweeping of unfinished files")  # goes at its end
        with contextlib.suppress(UserError, OSError), held:
            leftovers.sweep(lock.parent.resolve())


def _open(path, image_shape):
    """Returns a read-only memory map, or None if there is no file that holds what it promises."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[1:] != image_shape:
        return None
    return array
