"""One process at a time writes into a run directory: its lock, and whether it is still there."""

import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from pcvae import locks, training
from pcvae.checks import check_folder

P = ParamSpec("P")
R = TypeVar("R")
_held: dict[str, locks.Lock] = {}  # by this process, by the path of the run directory


def one_writer(what: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Returns a decorator of a root function that writes into the directory ``run_dir``.

    While it runs, others are refused with `locks.Held`. Of several workers the chief holds the
    lock, since it is the one that writes.

    Args:
        what: what the function does, in words: ``training``.
    """

    def decorate(run: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(run)
        def alone(*args: P.args, **kwargs: P.kwargs) -> R:
            run_dir: Any = kwargs.get("run_dir")
            if run_dir is None or not training.is_chief(kwargs.get("strategy")):
                return run(*args, **kwargs)
            key = os.path.abspath(check_folder(run_dir, "run_dir"))
            with locks.hold(run_dir, what) as _held[key]:
                try:
                    return run(*args, **kwargs)
                finally:
                    del _held[key]

        return alone

    return decorate


def check_still_there(run_dir: str | os.PathLike) -> None:
    """Raises UserError if a directory that this process writes into was deleted or is another's."""
    lock = _held.get(os.path.abspath(run_dir))
    if lock is not None:
        lock.check()
