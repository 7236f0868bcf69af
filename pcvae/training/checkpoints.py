"""Checkpoints by name: flat groups of variables that can be read without building any class.

A checkpoint is TensorFlow's own, of the object graph ``{group: {path: variable}}``. So its keys are
the names that the caller gives, and reading needs neither the classes that wrote it nor their code:
it reads arrays and executes nothing.
"""

import glob
import math
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pcvae.checks import some_names
from pcvae.errors import UserError

PREFIX = "ckpt"
_VALUE_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_NAMES_SHOWN = 5
_NAME = re.compile(f"{PREFIX}-[0-9]+")
# What TensorFlow raises on files that are cut or changed, depending on where they are.
_READ_ERRORS = (tf.errors.OpError, IndexError, RuntimeError, ValueError)


class Checkpoints:
    """Saves and restores the state of a run.

    With several workers every one of them has to call ``save`` and ``restore_newest`` at the same
    step: saving is collective. All but the chief write into a temporary folder that goes away.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        state: Mapping[str, Mapping[str, Any]],
        max_to_keep: int = 3,
        chief: bool = True,
    ) -> None:
        """Lists what is kept.

        Args:
            directory: folder of the checkpoints.
            state: dict group -> dict path -> variable (``keras.Variable`` or ``tf.Variable``) or
                trackable object. A variable stands in one group only.
            max_to_keep: how many of the newest checkpoints stay.
            chief: whether this process writes into ``directory`` (``training.is_chief``).

        Raises:
            ValueError: the same variable twice.
        """
        self._directory = os.fspath(directory)
        self._state = {
            group: {path: _unwrap(item) for path, item in items.items()}
            for group, items in state.items()
        }
        items = [item for group in self._state.values() for item in group.values()]
        if len({id(item) for item in items}) < len(items):
            raise ValueError("a variable may stand in one group and under one path only")
        self._chief = chief
        self._checkpoint = tf.train.Checkpoint(**self._state)
        self._max_to_keep = max_to_keep

    def save(self, step: int) -> None:
        """Saves the state as the checkpoint of a step.

        If it is interrupted, the checkpoint before it stays the newest.

        Args:
            step: int, number of steps taken; it names the checkpoint.
        """
        if not self._chief:
            folder = tempfile.mkdtemp(prefix="checkpoint_of_worker_")
            try:
                self._checkpoint.write(os.path.join(folder, PREFIX))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return
        name = f"{PREFIX}-{int(step)}"
        # TensorFlow writes the index, without which nothing is read, in place; here it is complete
        # in a folder of its own before it gets its name, and comes after the data.
        partial = os.path.join(self._directory, ".partial")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            os.makedirs(partial)
            self._checkpoint.write(os.path.join(partial, name))
            for file in sorted(os.listdir(partial)):  # data before index
                os.replace(os.path.join(partial, file), os.path.join(self._directory, file))
            os.rmdir(partial)
            self._remove_old()
        except (OSError, tf.errors.OpError) as error:
            raise UserError(
                f"checkpoint {os.path.join(self._directory, name)} could not be written"
                f" ({_one_line(error)}); free some space or fix the permissions, then resume from"
                " the checkpoint before it"
            ) from error

    def restore_newest(self) -> int | None:
        """Restores the newest checkpoint.

        Returns:
            The step of it, or None if there is none yet.

        Raises:
            UserError: the checkpoint is damaged, or does not fit the state in names or shapes.
        """
        path = newest(self._directory)
        if path is None:
            return None
        found = {key: tuple(shape) for key, shape in _shapes(path).items()}
        self._check(path, found)
        try:
            self._checkpoint.read(path).assert_consumed()
        except _READ_ERRORS as error:
            raise _damaged(path) from error
        except AssertionError as error:
            raise UserError(
                f"checkpoint {path} does not fit this run: {_one_line(error)}"
            ) from error
        return _step(path)

    def _remove_old(self):
        for path in _complete(self._directory)[: -self._max_to_keep]:
            # The index goes first: what has no index is no checkpoint.
            for file in [f"{path}.index", *glob.glob(f"{glob.escape(path)}.data-*")]:
                os.remove(file)

    def _check(self, path, found):
        """Compares names and shapes of the variables with the file."""
        found = dict(found)
        expected = {}
        for group, items in self._state.items():
            for name, item in items.items():
                if hasattr(item, "shape"):
                    expected[f"{group}/{name}"] = tuple(item.shape)
                else:  # an object with variables of its own: ``assert_consumed`` looks at it
                    prefix = f"{group}/{name}/"
                    found = {key: s for key, s in found.items() if not key.startswith(prefix)}
        problems = {
            "missing in the file": sorted(expected.keys() - found.keys()),
            "unknown here": sorted(found.keys() - expected.keys()),
            "of another shape": [
                f"{key} {list(found[key])} instead of {list(shape)}"
                for key, shape in expected.items()
                if key in found and found[key] != shape
            ],
        }
        parts = [
            f"{what}: {some_names(names, _NAMES_SHOWN)}"
            for what, names in problems.items()
            if names
        ]
        if parts:
            raise UserError(
                f"checkpoint {path} does not fit this run; {'; '.join(parts)}: use another "
                "--run_dir, or the configuration that it was made with"
            )


def newest(directory: str | os.PathLike) -> str | None:
    """Returns the path prefix of the newest complete checkpoint in a folder, or None."""
    paths = _complete(os.fspath(directory))
    return paths[-1] if paths else None


def newest_step(directory: str | os.PathLike) -> int | None:
    """Returns the step of the newest complete checkpoint in a folder, or None."""
    path = newest(directory)
    return None if path is None else _step(path)


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
        reader = tf.train.load_checkpoint(path)
        return {name: reader.get_tensor(_key(f"{group}/{name}")) for name in shapes}
    except _READ_ERRORS as error:
        raise _damaged(path) from error


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
    shapes = _shapes(path)
    prefix = f"{group}/"
    wanted = {
        name: tuple(shape) for name, shape in sorted(shapes.items()) if name.startswith(prefix)
    }
    if not wanted:
        groups = sorted({name.split("/")[0] for name in shapes})
        raise UserError(f"checkpoint {path}: no group {group!r}; it has {', '.join(groups)}")
    return path, {name.removeprefix(prefix): shape for name, shape in wanted.items()}


def _complete(directory):
    """Returns the path prefixes of the checkpoints in a folder, oldest first."""
    indices = glob.glob(os.path.join(glob.escape(directory), f"{PREFIX}-*.index"))
    paths = [path.removesuffix(".index") for path in indices]
    return sorted((path for path in paths if _NAME.fullmatch(os.path.basename(path))), key=_step)


def _step(path):
    return int(path.rpartition("-")[2])


def _shapes(path):
    """Returns dict "group/path" -> shape of a checkpoint file.

    An index may claim anything: what it names is no larger than the data beside it, and numbers.
    """
    try:
        reader = tf.train.load_checkpoint(path)
        shapes = reader.get_variable_to_shape_map()
        dtypes = reader.get_variable_to_dtype_map()
        shapes = {key: shape for key, shape in shapes.items() if key.endswith(_VALUE_SUFFIX)}
        claimed = sum(math.prod(shape) * dtypes[key].size for key, shape in shapes.items())
        there = sum(map(os.path.getsize, glob.glob(f"{glob.escape(path)}.data-*")))
    except (*_READ_ERRORS, OSError) as error:
        raise _damaged(path) from error
    numbers = all(dtypes[key].is_floating or dtypes[key].is_integer for key in shapes)
    if (
        claimed > there
        or not numbers
        or min(map(min, filter(None, shapes.values())), default=0) < 0
    ):
        raise _damaged(path)
    return {
        re.sub(r"\.(.)", _unescape, key.removesuffix(_VALUE_SUFFIX)): shape
        for key, shape in shapes.items()
    }


def _key(name):
    """Returns the key under which TensorFlow keeps the variable "group/path"."""
    group, _, path = name.partition("/")
    return f"{group}/{path.replace('.', '..').replace('/', '.S')}{_VALUE_SUFFIX}"


def _unescape(match):
    return "/" if match[1] == "S" else match[1]


def _unwrap(item):
    return item.value if isinstance(item, keras.Variable) else item


def _damaged(path):
    older = _complete(os.path.dirname(path))[:-1]
    remedy = (
        f"remove the files {path}.* to go on from {os.path.basename(older[-1])}"
        if older
        else "there is no older one; start in a new folder"
    )
    return UserError(f"checkpoint {path} is damaged; {remedy}")


def _one_line(error):
    return " ".join(str(error).split())[:300]
