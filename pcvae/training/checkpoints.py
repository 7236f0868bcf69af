"""Checkpoints by name: flat groups of variables that can be read without building any class.

A checkpoint is TensorFlow's own, of the object graph ``{group: {path: variable}}``. So its keys are
the names that the caller gives; `checkpoint_files` reads them.
"""

import contextlib
import glob
import os
import shutil
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from pcvae.checks import some_names
from pcvae.errors import UserError, words_of
from pcvae.files import flush_tree, full, move, plain_path
from pcvae.training.checkpoint_files import (
    PREFIX,
    check_finite,
    complete,
    reading,
    shapes_in,
    step_of,
)
from pcvae.training.newest_checkpoint import note_saved, read_newest
from pcvae.training.open_window import SUFFIX, read_window, write_window

_NAMES_SHOWN = 5


class Checkpoints:
    """Saves and restores the state of a run.

    ``unreported`` is a list of what each step since the last report measured; `train` fills it.

    With several workers every one of them calls ``save`` and ``restore_newest`` at the same step;
    the chief alone writes, since every worker has all values.
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
            chief: whether this process writes (``training.is_chief``).

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
        self.unreported: list[Any] = []
        self._chief = chief
        self._partial = os.path.join(self._directory, ".partial")
        if chief:  # of one that was killed: one process at a time trains in a run directory
            shutil.rmtree(self._partial, ignore_errors=True)
        self._checkpoint = tf.train.Checkpoint(**self._state)
        self._max_to_keep = max_to_keep

    def save(self, step: int) -> None:
        """Saves the state as the checkpoint of a step.

        If it is interrupted, the checkpoint before it stays the newest.

        Args:
            step: int, number of steps taken; it names the checkpoint.
        """
        if not self._chief:
            return
        name = f"{PREFIX}-{int(step)}"
        # TensorFlow writes the index, without which nothing is read, in place; here it is complete
        # in a folder of its own before it gets its name, and comes after the data.
        partial = self._partial
        try:
            shutil.rmtree(partial, ignore_errors=True)
            os.makedirs(partial)
            with plain_path(partial) as folder:
                self._checkpoint.write(os.path.join(folder, name))
            write_window(os.path.join(partial, name + SUFFIX), self.unreported)
            flush_tree(partial)
            # Who reads beside it never meets the old index with new data.
            for suffix in (".index", SUFFIX):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(os.path.join(self._directory, name + suffix))
            for file in sorted(os.listdir(partial)):  # data before index
                move(os.path.join(partial, file), os.path.join(self._directory, file))
            note_saved(self._directory, int(step))
            self._remove_old(int(step))
        except (OSError, tf.errors.OpError) as error:
            before = [path for path in complete(self._directory) if step_of(path) < step]
            goes_on = f"goes on from {os.path.basename(before[-1])}" if before else "starts anew"
            raise UserError(
                f"checkpoint {os.path.join(self._directory, name)} could not be written"
                f" ({_one_line(error)}); free some space or fix the permissions, then start again: "
                f"it {goes_on}"
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def restore_newest(self, fallback: bool = True) -> int | None:
        """Restores the newest checkpoint.

        Args:
            fallback: whether an older one is taken, with a warning, where the newest one is damaged
                or files of it are missing.

        Returns:
            The step of it, or None if there is none yet.

        Raises:
            UserError: no checkpoint can be read; or it does not fit the state in names or shapes,
                or holds NaN or infinity.
        """
        found = read_newest(self._directory, self._restore, fallback, quiet=not self._chief)
        return None if found is None else step_of(found[0])

    def _restore(self, path):
        found = {key: tuple(shape) for key, shape in shapes_in(path).items()}
        self._check(path, found)
        check_finite(path)
        try:
            with reading(path), plain_path(self._directory) as folder:
                plain = os.path.join(folder, os.path.basename(path))
                self._checkpoint.read(plain).assert_consumed()
            self.unreported[:] = read_window(path + SUFFIX)
        except AssertionError as error:
            raise UserError(
                f"checkpoint {path} does not fit this run: {_one_line(error)}"
            ) from error

    def _remove_old(self, saved):
        """Removes what is older than the newest ones, and what this run fell back from."""
        paths = complete(self._directory)
        later = [path for path in paths if step_of(path) > saved]
        kept = [path for path in paths if path not in later][-self._max_to_keep :]
        for path in paths:
            # The index goes first: what has no index is no checkpoint.
            if path not in kept:
                os.remove(f"{path}.index")
        for last in (".data-", SUFFIX):
            for file in glob.glob(f"{glob.escape(self._directory)}/{PREFIX}-*{last}*"):
                if file.rpartition(last)[0] not in kept:
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


def _unwrap(item):
    return item.value if isinstance(item, keras.Variable) else item


def _one_line(error):
    return full(error) or words_of(error)[:300]
