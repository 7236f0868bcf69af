"""What steps since the last report measured: kept beside a checkpoint, for the report to come.

A report is a mean over the steps since the one before it. A run that is stopped between two of them
takes the first part of the mean from here, and so reports what it would have without the stop.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pcvae import quantities
from pcvae.files import write_arrays

# In a list of a checkpoint's files it stands before the index, which makes the checkpoint whole.
SUFFIX = ".history.npz"


def write_window(path: str | os.PathLike, steps: Sequence[Mapping[str, Any]]) -> None:
    """Writes the metrics of steps, {name: tensor or array} of each, if there are some."""
    if steps:
        write_arrays(path, **{name: np.stack(values) for name, values in _averaged(steps)})


def read_window(path: str | os.PathLike) -> list[dict[str, np.ndarray]]:
    """Returns what `write_window` wrote; [] where there is nothing, or nothing to be read."""
    with contextlib.suppress(OSError, ValueError, EOFError), np.load(path) as arrays:
        columns = {name: arrays[name] for name in arrays.files}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return []


def window_means(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the means of the metrics of steps; of what is state of training, the last.

    Reading them waits for the steps.

    Args:
        steps: {name: tensor} of each, of which earlier ones may be arrays as `read_window` gives
            them; the last one has an `UpdateReport`, too.
    """
    last = {name: _numpy(value) for name, value in steps[-1].items() if name != "update"}
    update = type(steps[-1]["update"])(*map(_numpy, steps[-1]["update"]))
    means = {name: np.mean(values, axis=0) for name, values in _averaged(steps)}
    return {**last, **means, "update": update}


def _averaged(steps: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Yields name, values of each metric that a report averages."""
    for name in steps[-1]:
        if name != "update" and not name.startswith(quantities.LAGRANGE_MULTIPLIER):
            yield name, [_numpy(step[name]) for step in steps]


def _numpy(value):
    return value.numpy() if hasattr(value, "numpy") else value
