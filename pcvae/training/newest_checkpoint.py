"""Which checkpoint of a run is the newest that can be used, and what became of newer ones."""

import json
import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from pcvae.errors import UserError
from pcvae.files import read_text, write_json
from pcvae.progress import report
from pcvae.training.checkpoint_files import (
    DATA,
    PREFIX,
    Unusable,
    arrays_of,
    check_finite,
    check_whole,
    complete,
    prefixes,
    shapes_of,
    step_of,
)

T = TypeVar("T")


def newest(directory: str | os.PathLike) -> str | None:
    """Returns the path prefix of the newest complete checkpoint in a folder, or None."""
    paths = complete(os.fspath(directory))
    return paths[-1] if paths else None


def newest_step(directory: str | os.PathLike) -> int | None:
    """Returns the step of the newest complete checkpoint in a folder, or None."""
    path = newest(directory)
    return None if path is None else step_of(path)


def read_newest(
    directory: str | os.PathLike,
    read: Callable[[str], T],
    fallback: bool = True,
    quiet: bool = False,
) -> tuple[str, T] | None:
    """Reads the newest checkpoint, or, with a warning that names both, the newest usable one.

    One that is removed meanwhile, by a training beside it, gives way to the newest one there.

    Args:
        directory: folder of the checkpoints.
        read: called with the path prefix of a checkpoint; raises `Unusable` as `reading` does.
        fallback: whether an older one will do.
        quiet: whether the warning is left to another process.

    Returns:
        (path prefix, what was read); None if none was ever saved.

    Raises:
        UserError: there is no usable one, or not the newest and ``fallback`` is False.
    """
    directory, faults = os.fspath(directory), {}
    while True:
        paths = [path for path in _known(directory) if path not in faults]
        if not paths:
            break
        try:
            check_whole(paths[0])
            value = read(paths[0])
        except Unusable as error:
            if paths[0] not in _known(directory):
                continue
            faults[paths[0]] = error
            if not fallback and len(paths) > 1:
                raise Unusable(
                    f"{error}; the one before it is {os.path.basename(paths[1])}, which is taken "
                    "without --no_fallback"
                ) from error
            continue
        if faults and not quiet:
            lost = "; ".join(map(str, faults.values()))
            report(f"pcvae: warning: {lost}; going on with {paths[0]}, the one before")
        return paths[0], value
    if not faults:
        return None
    lost = "; ".join(map(str, faults.values()))
    raise Unusable(
        f"{lost}; there is no older one: bring the files back from a copy, or start in a new folder"
    )


def read_group(
    directory: str | os.PathLike, group: str, fallback: bool = True
) -> dict[str, np.ndarray]:
    """Reads one group of the newest checkpoint.

    Args:
        directory: folder of the checkpoints.
        group: name of the group, such as "ema".
        fallback: whether an older checkpoint will do; see `read_newest`.

    Returns:
        dict path -> numpy array.

    Raises:
        UserError: no usable checkpoint, no such group in it, or NaN or infinity in the group.
    """

    def read(path):
        check_finite(path, [group])
        return arrays_of(path, group)

    found = read_newest(directory, read, fallback)
    if found is None:
        raise no_checkpoint(directory)
    return found[1]


def group_shapes(directory: str | os.PathLike, group: str) -> dict[str, Any]:
    """Returns dict path -> shape of what `read_group` reads, without reading it.

    Raises:
        UserError: as `read_group` does.
    """
    path = newest(directory)
    if path is None:
        raise no_checkpoint(directory)
    return shapes_of(path, group)


def no_checkpoint(directory: str | os.PathLike) -> UserError:
    """Returns the error for a folder without a checkpoint."""
    return UserError(f"no checkpoint in {os.fspath(directory)}; train first, or check the path")


def note_saved(directory: str, step: int) -> None:
    """Notes which checkpoint was saved last, beside the folder, to know it if it goes missing."""
    write_json({"newest_step": step}, f"{directory}.json")


def _known(directory):
    """Returns the path prefixes, newest first, and before them those of newer ones that are lost.

    They are known by the note, or by data without an index.
    """
    try:  # before looking at what is there: a note comes after its checkpoint
        note = json.loads(read_text(f"{directory}.json"))
        noted = [os.path.join(directory, f"{PREFIX}-{int(note['newest_step'])}")]
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        noted = []
    paths = complete(directory)
    with_data = [path for path in prefixes(directory, DATA) if path not in paths]
    least = step_of(paths[-1]) if paths else -1
    lost = {path for path in (*noted, *with_data) if step_of(path) > least}
    return [*sorted(lost, key=step_of, reverse=True), *reversed(paths)]
