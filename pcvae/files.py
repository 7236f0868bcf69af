"""Folders and files that are there whole or not at all."""

import contextlib
import errno
import json
import math
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pcvae import leftovers
from pcvae.checks import check_folder, some_names
from pcvae.errors import UserError

INFINITY = "Infinity"
MAX_TEXT_BYTES = 2**30
FREE_SPACE = "free some space there and start again"
PICTURE_MARK = ("Software", "pcvae")  # an entry of the PNGs that we write


def check_new_folder(path: str | os.PathLike, name: str = "output") -> Path:
    """Returns a path, if nothing is there yet or an empty folder.

    Raises:
        UserError: it holds something, is a file, or cannot be written.
    """
    folder = Path(check_folder(path, f"--{name}"))
    found = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    if found:
        raise UserError(
            f"--{name}={path}: expected a new or empty folder, found {some_names(found, 3)}: "
            f"nothing is overwritten, use another --{name}"
        )
    return folder


@contextlib.contextmanager
def new_folder(path: str | os.PathLike, name: str = "output") -> Iterator[Path]:
    """Gives a temporary folder beside a path, which gets its name when the block ends well.

    An error, a signal or a full disk inside the block leave nothing behind.

    Args:
        path: where the folder will be.
        name: the flag that names it, for errors.

    Raises:
        UserError: something is there already, or the place cannot be written.
    """
    folder = Path(os.path.abspath(check_new_folder(path, name)))
    partial = _partial(folder)
    try:
        inside = partial / folder.name
        with told_when_full(folder):
            inside.mkdir(parents=True)
            yield inside
            check_new_folder(path, name)  # nobody else was faster
            flush_tree(inside)
            move(inside, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def plain_path(path: str | os.PathLike) -> Iterator[str]:
    """Gives a path to a file or folder that TensorFlow takes for what it is.

    TensorFlow reads ``[ ] * ? \\`` in the path of a checkpoint as a pattern, and takes no bytes
    that are not UTF-8. For a path that holds such, this is one through a link in a temporary
    folder, which is gone when the block ends.

    Args:
        path: what is there.
    """
    path = os.path.abspath(path)
    if is_plain_path(path):
        yield path
        return
    temporary = next(filter(is_plain_path, (tempfile.gettempdir(), "/tmp", "/var/tmp")))
    with tempfile.TemporaryDirectory(prefix="pcvae-", dir=temporary) as links:
        suffix = os.path.splitext(path)[1]
        link = os.path.join(links, f"linked{suffix if is_plain_path(suffix) else ''}")
        os.symlink(path, link)
        yield link


def is_plain_path(path: str) -> bool:
    """Says whether TensorFlow takes an absolute path for what it is; see `plain_path`."""
    return re.search(r"[\[\]*?\\\ud800-\udfff]", path) is None


@contextlib.contextmanager
def new_file(path: str | os.PathLike, remedy: str = FREE_SPACE) -> Iterator[Path]:
    """Gives a path of the same suffix beside a path, which gets its name when the block ends well.

    What is there is replaced; the folder is made. An error or a signal leave nothing behind.

    Args:
        path: where the file will be.
        remedy: what the user can do where there is no room; see `told_when_full`.
    """
    path = Path(path)
    partial = _partial(path)
    try:
        with told_when_full(path, remedy):
            yield partial
            flush(partial)
            move(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_together(writers: Mapping[Path, Callable[[Path], object]]) -> None:
    """Writes files of one result as `new_file` does: none gets its name before all are written.

    Args:
        writers: {path: function that writes the file at the path that it is given}.
    """
    with contextlib.ExitStack() as stack:
        for path, write in writers.items():
            partial = stack.enter_context(new_file(path))
            with told_when_full(path):
                write(partial)


@contextlib.contextmanager
def told_when_full(path: str | os.PathLike, remedy: str = FREE_SPACE) -> Iterator[None]:
    """Names the file that has no room, where a full disk, a quota or a limit ends the block.

    Args:
        path: what is written in the block.
        remedy: what the user can do; what was there before is still there.

    Raises:
        UserError: instead of the errors of Python and TensorFlow.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        why = full(error)
        if why is None or leftovers.is_unfinished(Path(path)):  # who names the file tells it
            raise
        raise UserError(f"{printable(path)} cannot be written: {why}; {remedy}") from error


def full(error: Exception) -> str | None:
    """Returns what an error says of a lack of room, in the system's words, or None."""
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        # TensorFlow has errors of its own, with these words in them.
        if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
            return os.strerror(number)
    return None


def _partial(path):
    """Makes the folder of a path, without leftovers; returns a name for what is unfinished."""
    with told_when_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    leftovers.sweep(path.parent.resolve())
    return leftovers.unfinished(path)


def move(source: str | os.PathLike, target: str | os.PathLike) -> None:
    """Gives a file or folder another name, in the place of what has it, also on the disk.

    Whoever moves something flushes it first: else a loss of power may leave the name without the
    content, in the place of what was whole.
    """
    os.replace(source, target)
    flush(os.path.dirname(os.path.abspath(target)))


def flush(path: str | os.PathLike) -> None:
    """Returns when the content of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems flush no folders, and say so.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def flush_tree(folder: str | os.PathLike) -> None:
    """Returns when all that a folder holds is on the disk."""
    for place, _, files in os.walk(folder):
        for file in files:
            flush(os.path.join(place, file))
        flush(place)


def check_plain_file(path: Path, max_bytes: int) -> None:
    """Checks that a file can be read whole: a device or a pipe may never end.

    Raises:
        OSError: there is no such file.
        ValueError: it is something else, or larger.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("no plain file")
    if status.st_size > max_bytes:
        raise ValueError(f"a file of {status.st_size:,} bytes")


def read_text(
    path: str | os.PathLike, errors: str = "strict", max_bytes: int = MAX_TEXT_BYTES
) -> str:
    """Returns what a file in UTF-8 holds, if it is one that ends.

    Args:
        path: the file.
        errors: what becomes of bytes that are not UTF-8, as ``open`` takes it.
        max_bytes: more than any such file has.

    Raises:
        UserError: a device, a pipe or a folder is there, or a larger file.
        OSError: it cannot be read.
        UnicodeDecodeError: see ``errors``.
    """
    try:
        check_plain_file(Path(path), max_bytes)
    except ValueError as error:
        raise UserError(f"{printable(path)}: expected a text file, got {error}") from error
    return Path(path).read_text(encoding="utf-8", errors=errors)


def printable(path: str | os.PathLike) -> str:
    """Returns a path as one line: bytes that are not UTF-8, and ends of lines, stand as escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(escaped)


def write_text(text: str, path: str | os.PathLike, remedy: str = FREE_SPACE) -> None:
    """Writes a text in UTF-8 as `new_file` does, so that a reader never sees half of it."""
    with new_file(path, remedy) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(record: Any, path: str | os.PathLike, remedy: str = FREE_SPACE) -> None:
    """Writes JSON as `new_file` does; NaN and minus infinity are a ValueError.

    JSON has no infinity: it is written as the text `INFINITY`, as protocol buffers do.
    """
    write_text(json.dumps(_told(record), indent=2, allow_nan=False) + "\n", path, remedy)


def _told(value):
    """Returns a value for JSON with `INFINITY` for infinity."""
    if isinstance(value, dict):
        return {key: _told(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_told(item) for item in value]
    return INFINITY if isinstance(value, float) and value == math.inf else value


def write_arrays(
    path: str | os.PathLike, remedy: str = FREE_SPACE, /, **arrays: np.ndarray
) -> None:
    """Writes arrays by name as an ``.npz``, as `new_file` does."""
    # NumPy would add .npz to a name in .NPZ, but not to an open file.
    with new_file(path, remedy) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)
