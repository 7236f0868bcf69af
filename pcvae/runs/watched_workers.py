"""A lost worker ends the others in a line that says where the same command goes on."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import tensorflow as tf

from pcvae import training
from pcvae.runs.run_directory import RunDirectory

P = ParamSpec("P")
R = TypeVar("R")


def watched_workers(run: Callable[P, R]) -> Callable[P, R]:
    """Decorates a root function that trains in ``run_dir`` under ``strategy``.

    Where that has other workers, the loss of one ends the process; see `training.Peers.watched`.
    """

    @functools.wraps(run)
    def watched(*args: P.args, **kwargs: P.kwargs) -> R:
        strategy: Any = kwargs.get("strategy")
        peers = training.peers_of(strategy)
        if peers is None:
            return run(*args, **kwargs)
        run_dir: Any = kwargs["run_dir"]
        checkpoints = RunDirectory(run_dir).checkpoints

        def remedy():
            step = training.newest_step(checkpoints)
            where = "starts anew" if step is None else f"resumes from checkpoint step {step}"
            return f"start the same command on all machines again: it {where}"

        with peers.watched(remedy):
            return run(*args, **kwargs)

    return watched


def part(strategy: tf.distribute.Strategy) -> None:
    """Tells the other workers that nothing is left to compute together."""
    peers = training.peers_of(strategy)
    if peers is not None:
        peers.leave()
