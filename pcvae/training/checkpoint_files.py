"""Reads the files of a checkpoint: whether they are whole, and arrays by name.

The keys of a file are the names that `Checkpoints` gave, so that reading needs neither the classes
that wrote it nor their code: it reads arrays and executes nothing.
"""

import contextlib
import glob
import math
import os
import re
import time
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from pcvae.checks import some_names
from pcvae.errors import UserError
from pcvae.files import plain_path
from pcvae.progress import report

PREFIX = "ckpt"
# What TensorFlow raises on files that are cut or changed, depending on where they are.
_READ_ERRORS = (tf.errors.OpError, IndexError, RuntimeError, ValueError)
_NO_DAMAGE = (tf.errors.PermissionDeniedError, tf.errors.ResourceExhaustedError)
# Its places that are not filled yet are infinite.
_MAY_BE_INFINITE = {"update/recent_norms"}
_NAMES_SHOWN = 3
_RENAMING_SECONDS = 0.2  # more than between the names of the data and of the index
_VALUE_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
DATA = ".data-"
_NAME = re.compile(f"{PREFIX}-[0-9]+")


class Unusable(UserError):
    """A checkpoint of which bytes or files are lost, so that another one has to do."""


def arrays_of(path: str, group: str) -> dict[str, np.ndarray]:
    """Returns dict path -> array of a group of a checkpoint; raises UserError as `shapes_of`."""
    names = shapes_of(path, group)
    with reading(path) as reader:
        return {name: reader.get_tensor(_key(f"{group}/{name}")) for name in names}


def has_group(path: str, group: str) -> bool:
    """Says whether a checkpoint has a group; raises UserError as `shapes_in`."""
    return any(name.startswith(f"{group}/") for name in shapes_in(path))


def shapes_of(path: str, group: str) -> dict[str, Any]:
    """Returns dict path -> shape of a group of a checkpoint.

    Raises:
        Unusable: see `shapes_in`.
        UserError: there is no such group.
    """
    shapes = shapes_in(path)
    prefix = f"{group}/"
    wanted = {
        name: tuple(shape) for name, shape in sorted(shapes.items()) if name.startswith(prefix)
    }
    if not wanted:
        groups = sorted({name.split("/")[0] for name in shapes})
        raise UserError(f"checkpoint {path}: no group {group!r}; it has {', '.join(groups)}")
    return {name.removeprefix(prefix): shape for name, shape in wanted.items()}


def check_finite(path: str, groups: Collection[str] | None = None) -> None:
    """Reads all of a checkpoint, checksums included, and looks for NaN and infinity.

    Args:
        path: its path prefix.
        groups: those in which all has to be finite; what is not in others is told. None for all.

    Raises:
        Unusable: it is damaged, anywhere.
        UserError: which names what is not finite.
    """
    shapes_in(path)  # before anything is read: no more than is there
    wrong = []
    with reading(path) as reader:
        for key, dtype in sorted(reader.get_variable_to_dtype_map().items()):
            array = reader.get_tensor(key)
            if not dtype.is_floating:
                continue
            name = _name(key)
            array = array.astype(np.float64)
            if np.isnan(array).any() or (np.isinf(array).any() and name not in _MAY_BE_INFINITE):
                wrong.append(name)
    used = [name for name in wrong if groups is None or name.partition("/")[0] in groups]
    if used:
        older = _way_on(path, f"move {os.path.basename(path)}.* elsewhere")
        raise UserError(
            f"checkpoint {path}: NaN or infinity in {some_names(used, _NAMES_SHOWN)}; {older}"
        )
    if wrong:
        report(
            f"pcvae: warning: checkpoint {path}: NaN or infinity in "
            f"{some_names(wrong, _NAMES_SHOWN)}, which training cannot go on from"
        )


def complete(directory: str) -> list[str]:
    """Returns the path prefixes of the checkpoints in a folder, oldest first.

    Raises:
        UserError: the folder cannot be read.
    """
    return prefixes(directory, ".index")


def prefixes(directory: str, suffix: str) -> list[str]:
    """Returns the path prefixes that a folder has files of, ``.index`` or ``.data-``, oldest first.

    Raises:
        UserError: the folder cannot be read.
    """
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"{directory}: checkpoints cannot be read: {error.strerror}") from error
    stems = {name.partition(suffix)[0] for name in names if suffix in name}
    return sorted(
        (os.path.join(directory, stem) for stem in stems if _NAME.fullmatch(stem)), key=step_of
    )


def step_of(path: str) -> int:
    """Returns the step that a checkpoint's path names."""
    return int(path.rpartition("-")[2])


def shapes_in(path: str) -> dict[str, Any]:
    """Returns dict "group/path" -> shape of a checkpoint.

    An index may claim anything: what it names is no larger than the data beside it, and numbers.

    Raises:
        UserError: see `unreadable`.
    """
    with reading(path) as reader:
        shapes = reader.get_variable_to_shape_map()
        dtypes = reader.get_variable_to_dtype_map()
        shapes = {key: shape for key, shape in shapes.items() if key.endswith(_VALUE_SUFFIX)}
        claimed = sum(math.prod(shape) * dtypes[key].size for key, shape in shapes.items())
    numbers = all(dtypes[key].is_floating or dtypes[key].is_integer for key in shapes)
    if claimed > sum(map(os.path.getsize, _data_files(path))):
        raise Unusable(f"checkpoint {path} is damaged: there is less data than its index says")
    if not numbers or min(map(min, filter(None, shapes.values())), default=0) < 0:
        raise Unusable(f"checkpoint {path} is damaged: its index names what are no numbers")
    return {_name(key): shape for key, shape in shapes.items()}


@contextlib.contextmanager
def reading(path: str) -> Iterator[Any]:
    """Gives TensorFlow's reader of a checkpoint; also for other ways to read it in the block.

    Raises:
        Unusable: it is damaged: the files are there and can be opened, and their content is not
            what was written; or it is not whole.
        UserError: see `check_whole`.
    """
    check_whole(path)
    folder, name = os.path.split(path)
    try:
        with plain_path(folder) as plain:
            yield tf.train.load_checkpoint(os.path.join(plain, name))
    except (UserError, *_NO_DAMAGE):
        raise
    except _READ_ERRORS as error:
        check_whole(path)  # still
        raise Unusable(
            f"checkpoint {path} is damaged: its bytes are not those that were written"
        ) from error


def check_whole(path: str) -> None:
    """Raises an error unless all files of a checkpoint are there and can be opened.

    Raises:
        Unusable: a file is missing.
        UserError: one is not readable, for want of a permission, say.
    """
    index, name = f"{path}.index", os.path.basename(path)
    data = _data_files(path)
    if data and not os.path.exists(index):
        time.sleep(_RENAMING_SECONDS)  # a training beside it may be about to name it
    if not os.path.exists(index):
        if not data:
            raise Unusable(f"checkpoint {path}, the last one that was saved, is missing")
        raise Unusable(f"checkpoint {path} is not whole: {name}.index is missing beside its data")
    counts = {int(file.rpartition("-of-")[2]) for file in data}
    if not data or max(counts) > len(data):
        raise Unusable(f"checkpoint {path} is not whole: {name}.data-* is missing beside its index")
    for file in (index, *data):
        try:
            with open(file, "rb"):
                pass
        except FileNotFoundError as error:
            raise Unusable(f"checkpoint {path} is not whole: {file} is missing") from error
        except OSError as error:
            raise UserError(
                f"checkpoint {path} cannot be read: {file}: {error.strerror}; make the file "
                "readable, and try again"
            ) from error


def _data_files(path):
    files = sorted(glob.glob(f"{glob.escape(path)}{DATA}*"))
    return [file for file in files if re.fullmatch(r"[0-9]+-of-[0-9]+", file[len(path + DATA) :])]


def _key(name):
    """Returns the key under which TensorFlow keeps the variable "group/path"."""
    group, _, path = name.partition("/")
    return f"{group}/{path.replace('.', '..').replace('/', '.S')}{_VALUE_SUFFIX}"


def _name(key):
    """Returns the name "group/path" of the variable that TensorFlow keeps under a key."""
    return re.sub(r"\.(.)", _unescape, key.removesuffix(_VALUE_SUFFIX))


def _unescape(match):
    return "/" if match[1] == "S" else match[1]


def _way_on(path, first):
    """Returns how to go on from the checkpoint before it, or anew where there is none."""
    older = [other for other in complete(os.path.dirname(path)) if step_of(other) < step_of(path)]
    if older:
        return f"{first} to go on from {os.path.basename(older[-1])}"
    return "start in a new folder: there is no older one"
