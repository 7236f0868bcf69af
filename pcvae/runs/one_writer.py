"""One process at a time writes into a run directory: whoever holds its lock."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from pcvae import locks, training
from pcvae.checks import check_folder
from pcvae.runs.run_directory import RunDirectory

P = ParamSpec("P")
R = TypeVar("R")


def one_writer(what: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Returns a decorator of a root function that writes into the directory ``run_dir``.

    While it runs, others are refused with `locks.Held`. Of several workers the chief holds the
    lock, since it is the one that writes. The function gets a `RunDirectory` that has the lock.

    Args:
        what: what the function does, in words: ``training``.
    """

    def decorate(run: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(run)
        def alone(*args: P.args, **kwargs: P.kwargs) -> R:
            run_dir: Any = kwargs.get("run_dir")
            if run_dir is None or not training.is_chief(kwargs.get("strategy")):
                return run(*args, **kwargs)
            with locks.hold(check_folder(run_dir, "run_dir"), what) as lock:
                kwargs["run_dir"] = RunDirectory(run_dir, lock)
                return run(*args, **kwargs)

        return alone

    return decorate
