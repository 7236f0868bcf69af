"""Reads the checkpoint files of a run: which one is the newest, and arrays by name.

The keys of a file are the names that `Checkpoints` gave, so that reading needs neither the classes
that wrote it nor their code: it reads arrays and executes nothing.
"""

import contextlib
import glob
import math
import os
import re
from typing import Any

import numpy as np
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.files import plain_path

PREFIX = "ckpt"
# What TensorFlow raises on files that are cut or changed, depending on where they are.
READ_ERRORS = (tf.errors.OpError, IndexError, RuntimeError, ValueError)
_VALUE_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_NAME = re.compile(f"{PREFIX}-[0-9]+")


def newest(directory: str | os.PathLike) -> str | None:
    """Returns the path prefix of the newest complete checkpoint in a folder, or None."""
    paths = complete(os.fspath(directory))
    return paths[-1] if paths else None


def newest_step(directory: str | os.PathLike) -> int | None:
    """Returns the step of the newest complete checkpoint in a folder, or None."""
    path = newest(directory)
    return None if path is None else step_of(path)


def read_group(directory: str | os.PathLike, group: str) -> dict[str, np.ndarray]:
    """Reads one group of the newest checkpoint.

    Args:
        directory: folder of the checkpoints.
        group: name of the group, such as "ema".

    Returns:
        dict path -> numpy array.

    Raises:
        UserError: no checkpoint, a damaged one, or no such group in it.
    """
    path, shapes = _group(directory, group)
    try:
        with _opened(path) as reader:
            return {name: reader.get_tensor(_key(f"{group}/{name}")) for name in shapes}
    except READ_ERRORS as error:
        raise unreadable(path) from error


def group_shapes(directory: str | os.PathLike, group: str) -> dict[str, Any]:
    """Returns dict path -> shape of what `read_group` reads, without reading it.

    Raises:
        UserError: as `read_group` does.
    """
    return _group(directory, group)[1]


def _group(directory, group):
    """Returns the path of the newest checkpoint, and the shapes of a group in it."""
    path = newest(directory)
    if path is None:
        raise UserError(f"no checkpoint in {os.fspath(directory)}; train first, or check the path")
    shapes = shapes_in(path)
    prefix = f"{group}/"
    wanted = {
        name: tuple(shape) for name, shape in sorted(shapes.items()) if name.startswith(prefix)
    }
    if not wanted:
        groups = sorted({name.split("/")[0] for name in shapes})
        raise UserError(f"checkpoint {path}: no group {group!r}; it has {', '.join(groups)}")
    return path, {name.removeprefix(prefix): shape for name, shape in wanted.items()}


def complete(directory: str) -> list[str]:
    """Returns the path prefixes of the checkpoints in a folder, oldest first."""
    indices = glob.glob(os.path.join(glob.escape(directory), f"{PREFIX}-*.index"))
    paths = [path.removesuffix(".index") for path in indices]
    return sorted((path for path in paths if _NAME.fullmatch(os.path.basename(path))), key=step_of)


def step_of(path: str) -> int:
    """Returns the step that a checkpoint's path names."""
    return int(path.rpartition("-")[2])


def shapes_in(path: str) -> dict[str, Any]:
    """Returns dict "group/path" -> shape of a checkpoint.

    An index may claim anything: what it names is no larger than the data beside it, and numbers.

    Raises:
        UserError: see `unreadable`.
    """
    try:
        with _opened(path) as reader:
            shapes = reader.get_variable_to_shape_map()
            dtypes = reader.get_variable_to_dtype_map()
        shapes = {key: shape for key, shape in shapes.items() if key.endswith(_VALUE_SUFFIX)}
        claimed = sum(math.prod(shape) * dtypes[key].size for key, shape in shapes.items())
        there = sum(map(os.path.getsize, glob.glob(f"{glob.escape(path)}.data-*")))
    except (*READ_ERRORS, OSError) as error:
        raise unreadable(path) from error
    numbers = all(dtypes[key].is_floating or dtypes[key].is_integer for key in shapes)
    if (
        claimed > there
        or not numbers
        or min(map(min, filter(None, shapes.values())), default=0) < 0
    ):
        raise unreadable(path)
    return {
        re.sub(r"\.(.)", _unescape, key.removesuffix(_VALUE_SUFFIX)): shape
        for key, shape in shapes.items()
    }


@contextlib.contextmanager
def _opened(path):
    """Gives TensorFlow's reader of a checkpoint file."""
    folder, name = os.path.split(path)
    with plain_path(folder) as plain:
        yield tf.train.load_checkpoint(os.path.join(plain, name))


def _key(name):
    """Returns the key under which TensorFlow keeps the variable "group/path"."""
    group, _, path = name.partition("/")
    return f"{group}/{path.replace('.', '..').replace('/', '.S')}{_VALUE_SUFFIX}"


def _unescape(match):
    return "/" if match[1] == "S" else match[1]


def unreadable(path: str) -> UserError:
    """Returns the error of a checkpoint that TensorFlow could not read, with the remedy.

    Damaged is a checkpoint whose files are there and can be opened.
    """
    files = [f"{path}.index", *sorted(glob.glob(f"{glob.escape(path)}.data-*"))]
    if len(files) == 1:
        return UserError(
            f"checkpoint {path} is not whole: {os.path.basename(path)}.data-* is missing beside its"
            f" index; bring it back, or {_way_on(path, 'move the index away')}"
        )
    for file in files:
        try:
            with open(file, "rb"):
                pass
        except OSError as error:
            return UserError(
                f"checkpoint {path} cannot be read: {file}: {error.strerror}; make the file "
                "readable, and try again"
            )
    remedy = _way_on(path, f"remove the files {path}.*")
    return UserError(f"checkpoint {path} is damaged; {remedy}")


def _way_on(path, first):
    """Returns how to go on from the checkpoint before it, or anew where there is none."""
    older = [other for other in complete(os.path.dirname(path)) if step_of(other) < step_of(path)]
    if older:
        return f"{first} to go on from {os.path.basename(older[-1])}"
    return "start in a new folder: there is no older one"
