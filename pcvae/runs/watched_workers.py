"""A worker that is lost, or gets a signal, ends the others; a line says where the work goes on."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import tensorflow as tf

from pcvae import training
from pcvae.errors import Interrupted
from pcvae.runs.run_directory import RunDirectory
from pcvae.signals import Stopped, end_process

P = ParamSpec("P")
R = TypeVar("R")


def watched_workers(run: Callable[P, R]) -> Callable[P, R]:
    """Decorates a root function that trains in ``run_dir`` under ``strategy``.

    Where that has other workers, the loss of one ends the process (see `training.Peers.watched`),
    and a signal to one ends all: at once, where training does not see to it itself, since nothing
    is there that could be saved.

    Raises:
        Interrupted: a signal came to this worker.
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

        def end(number, _steps_taken=False):
            peers.end_all(number)
            end_process(128 + number, f"pcvae: {_line(remedy)}")

        with peers.watched(remedy), training.stop_signals(end, peers) as stop:
            try:
                with stop.interrupting(False):
                    return run(*args, **kwargs)
            except Stopped as error:
                peers.end_all(stop.number)
                raise Interrupted(stop.number, _line(remedy)) from error

    return watched


def _line(remedy):
    return f"interrupted; {remedy()}"


def part(strategy: tf.distribute.Strategy) -> None:
    """Tells the other workers that nothing is left to compute together."""
    peers = training.peers_of(strategy)
    if peers is not None:
        peers.leave()
