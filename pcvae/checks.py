"""Checks of what a user gives, for every room: each returns the value or raises a UserError."""

import importlib.util
import math
import numbers
import operator
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pcvae.errors import UserError
from pcvae.memory import memory_limit_bytes

MAX_SEED = 2**32 - 1  # what NumPy and Keras take
LARGEST_NUMBER = 1e100  # ours: far beyond it, sums and axes of plots overflow


def check_integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Returns a value as an int, if it is an integer of Python or NumPy in [low, high].

    Args:
        name: what the value is, for the error.
        value: anything.
        low: the smallest integer that fits.
        high: the largest one; None for no limit.

    Raises:
        UserError: the value is no integer (a bool is none), or outside the range.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise UserError(f"{name}: expected an integer {bounds}, got {value!r}")
    return number


def check_image_shape(image_shape: Any) -> tuple[int, int, int]:
    """Returns the shape of an image, if it is (height, width, channels), integers of at least 1.

    Raises:
        UserError: it is something else.
    """
    try:
        height, width, channels = (check_integer("", size, 1) for size in image_shape)
    except (TypeError, ValueError, UserError):
        raise UserError(
            "image_shape: expected (height, width, channels), integers of at least 1, got "
            f"{image_shape!r}"
        ) from None
    return height, width, channels


def check_counts(**counts: Any) -> None:
    """Raises UserError unless all values are integers of at least 1; see `check_integer`."""
    for name, value in counts.items():
        check_integer(name, value, 1)


def check_number(
    name: str,
    value: Any,
    low: float,
    high: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
) -> float:
    """Returns a value as a float, if it is a finite real number of Python or NumPy in a range.

    Args:
        name: what the value is, for the error.
        value: anything.
        low: the end of the range.
        high: the other end.
        above: whether ``low`` itself does not fit.
        below: whether ``high`` itself does not fit.

    Raises:
        UserError: the value is no such number (a bool is none).
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
    if is_number and math.isfinite(value):
        over = value > low if above else value >= low
        if over and (value < high if below else value <= high):
            return float(value)
    if high < math.inf:
        bounds = f"in {'(' if above else '['}{low:g}, {high:g}{')' if below else ']'}"
    else:
        bounds = f"above {low:g}" if above else f"of at least {low:g}"
    raise UserError(f"{name}: expected a number {bounds}, got {value!r}")


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Returns a value, if it is one of some texts.

    Raises:
        UserError: it is not.
    """
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        raise UserError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
    return value


def check_seed(seed: Any) -> int:
    """Returns a seed as an int, if it is an integer from 0 to 2^32 - 1.

    Raises:
        UserError: it is not.
    """
    return check_integer("seed", seed, 0, MAX_SEED)


def check_folder(path: Any, name: str) -> str | os.PathLike:
    """Returns a path, if it is a folder or can be made one.

    Args:
        path: where the folder is or will be.
        name: what the folder is, for the error.

    Raises:
        UserError: a file has this place, or a part of the path; or it may not be written.
    """
    if not isinstance(path, str | os.PathLike) or not str(path):
        raise UserError(f"{name}: expected the path of a folder, got {path!r}")
    place = existing_part(os.path.abspath(path))
    if not os.path.isdir(place):
        what = "this" if place == os.path.abspath(path) else place
        raise UserError(f"{name}={path}: expected a folder or a new path, but {what} is a file")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"{name}={path}: expected a folder that can be written, but {place} cannot")
    return path


def check_package(module: str, extra: str, what: str) -> None:
    """Raises UserError if a module is not installed, which one of this package's extras brings.

    Args:
        module: such as "flask".
        extra: such as "explore".
        what: what takes it, for the error.
    """
    if importlib.util.find_spec(module) is None:
        raise UserError(f"{what} takes {module}: pip install 'pcvae[{extra}]'")


def can_be_folder(path: str) -> bool:
    """Says whether an absolute path is a folder that can be written, or can be made one."""
    if not os.path.isabs(path):
        return False
    place = existing_part(path)
    return os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK)


def existing_part(path: str) -> str:
    """Returns an absolute path up to the last part that is there."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def check_bytes(what: str, wanted: int, purpose: str, remedy: str = "") -> None:
    """Checks that so many bytes fit into the memory that this process may take.

    Args:
        what: what takes them, for the error.
        wanted: their number.
        purpose: what they are for.
        remedy: what the user can do, in words.

    Raises:
        UserError: they do not fit.
    """
    there = memory_limit_bytes()
    if wanted > there:
        raise UserError(
            f"{what} takes {wanted / 2**30:,.0f} GiB for {purpose}, this process may take "
            f"{there / 2**30:,.0f} GiB{remedy}"
        )


def check_batch(batch_size: int, image_shape: Sequence[int]) -> None:
    """Raises UserError if the pixels of a batch do not fit, as float32, the least that it takes.

    Args:
        batch_size: images at once.
        image_shape: (height, width, channels).
    """
    what, pixels = f"batch_size={batch_size}", 4 * batch_size * math.prod(image_shape)
    check_bytes(what, pixels, "the pixels alone", ": give a smaller one")


def is_number_or_none(value: Any) -> bool:
    """Says whether a JSON value is a number that can be drawn, or None, which is no finite one."""
    if value is None:
        return True
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and -LARGEST_NUMBER <= value <= LARGEST_NUMBER


def some_names(names: Iterable[str], shown: int) -> str:
    """Returns the first of several names as text, and how many more there are.

    Args:
        names: texts.
        shown: how many are named.
    """
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
