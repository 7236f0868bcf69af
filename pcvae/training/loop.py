"""The outer loop: steps, what happens every so many steps, and an orderly end on a signal."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from pcvae.errors import Interrupted
from pcvae.signals import Stopped
from pcvae.training.forecast import Forecast
from pcvae.training.open_window import window_means
from pcvae.training.peers import Peers
from pcvae.training.stopping import stop_signals
from pcvae.training.trainers import Trainer


class Window(NamedTuple):
    """What happened since the last report."""

    step: int  # steps taken in all
    num_steps: int  # of the whole run
    metrics: dict  # name -> mean over the window (numpy); of state, such as a multiplier, the last
    images_per_second: float
    data_wait_fraction: float
    # At the speed so far, with what is done between steps; None at the step that traces the graph.
    seconds_left: float | None
    # Whether a run that was never stopped reports it, too, as its log is to have it.
    is_due: bool = True
    knows_the_end: bool = (
        False  # whether ``seconds_left`` holds what comes after the last step, too
    )


class Action(NamedTuple):
    """Something to do every so many steps."""

    every_steps: int
    run: Callable[[Any], None]  # gets the number of steps taken; that of reports, the `Window`
    at_end: bool = True  # whether also after the last step, if that is no multiple
    is_whole: bool = False  # whether a signal waits for its end, as it must where files are saved
    is_alone: bool = False  # whether one worker does it, and no other one with it
    was_done: Callable[[int], bool] = lambda step: True  # at a step, before training was stopped
    tracing: float = 0.0  # how long its first run traces, in times of the training step's tracing
    again: float = 0.0  # as many of its runs are the work that comes after the last step

    def is_due(self, step: int, last_step: int) -> bool:
        """Says whether it is to be run after a step."""
        return step % self.every_steps == 0 or (step == last_step and self.at_end)


def train(
    trainer: Trainer,
    batches: Iterator,
    num_steps: int,
    batch_size: int,
    report: Callable[[Window], None],
    report_every_steps: int,
    actions: Sequence[Action] = (),
    peers: Peers | None = None,
    unreported: list[Any] | None = None,
    end_late: Callable[[int, bool], None] | None = None,
) -> None:
    """Runs a trainer up to a number of steps.

    SIGINT, SIGTERM and SIGHUP end it after the running step: the caller's actions do not run, its
    `Interrupted` handler does. One that comes while the first step is traced, or during an action
    that is not `Action.is_whole`, ends it there. What was not done of the actions at the step where
    the trainer stands is done first.

    With several workers all of them end it at the same moment: after a step, or inside an action
    that iterates by `Peers.between`. A signal to any of them ends an action that one does alone,
    whose caller then has to end the others (`Peers.end_all`).

    Args:
        trainer: has ``step(batch)``, ``steps_taken`` and ``update``.
        batches: iterator over distributed batches, from the step where the trainer stands.
        num_steps: steps in all, those of earlier processes included.
        batch_size: global batch size.
        report: function of a `Window`, also after the first step of a process.
        report_every_steps: steps between reports.
        actions: `Action`s, run in their order after the report.
        peers: the other workers, if there are any.
        unreported: what steps since the last report measured, in an earlier process
            (`Checkpoints.unreported`); it goes on with those of this one.
        end_late: see `stopping.Stop`.

    Raises:
        Interrupted: a signal came.
        TrainingDivergedError: gradients were not finite for too long.
    """
    forecast = Forecast(actions, num_steps)
    clock = _Clock(trainer.steps_taken, num_steps, batch_size, forecast)
    history = [] if unreported is None else unreported
    with stop_signals(end_late, peers) as stop:

        def may_interrupt(action):
            if action.is_whole and peers:
                return peers.saving
            waits = action.is_whole or (peers and not action.is_alone)
            return contextlib.nullcontext() if waits else stop.interrupting()

        def act(step, is_wanted=lambda action: True):
            for index, action in enumerate(actions):
                if action.is_due(step, num_steps) and is_wanted(action):
                    with clock.paused(index), may_interrupt(action):
                        action.run(step)

        with contextlib.suppress(Stopped):
            if clock.first_step:
                act(clock.first_step, lambda action: not action.was_done(clock.first_step))
            for step in range(clock.first_step + 1, num_steps + 1):
                is_first = step == clock.first_step + 1
                with clock.waiting():
                    batch = next(batches)
                with stop.interrupting(False) if is_first else contextlib.nullcontext():
                    history.append(trainer.step(batch))
                if is_first:
                    clock.first_step_done(history[-1])
                if peers:
                    _ = trainer.steps_taken  # waits for the step, before others are told of its end
                is_due = step % report_every_steps == 0 or step in (1, num_steps)
                if is_due or is_first:
                    metrics = window_means(history)
                    if is_due:
                        history.clear()
                    report(clock.window(step, metrics, is_due))
                    trainer.update.raise_if_diverged(metrics["update"])
                if stop.after_step():
                    break
                act(step)
                if stop.after_actions():
                    break
        if stop.number is not None:
            raise Interrupted(stop.number)


class _Clock:
    """Measures training alone: no tracing, no evaluation, no writing."""

    def __init__(self, first_step, num_steps, batch_size, forecast):
        self.first_step = self._window_first = first_step
        self._num_steps = num_steps
        self._batch_size = batch_size
        self._forecast = forecast
        self._start = self._window_start = time.perf_counter()
        self._timed_from = first_step
        self._paused = self._window_paused = self._window_waited = 0.0

    @contextlib.contextmanager
    def waiting(self):
        start = time.perf_counter()
        yield
        self._window_waited += time.perf_counter() - start

    @contextlib.contextmanager
    def paused(self, index):
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self._forecast.took(index, seconds)
        self._paused += seconds
        self._window_paused += seconds

    def first_step_done(self, result):
        """Starts the count of time after the step that traced the graph."""
        tf.nest.map_structure(lambda value: value.numpy(), result)
        now = time.perf_counter()
        self._forecast.tracing_seconds = now - self._start - self._paused
        self._start = now
        self._timed_from = self.first_step + 1
        self._paused = 0.0

    def window(self, step, metrics, is_due):
        now = time.perf_counter()
        seconds = max(now - self._window_start - self._window_paused, 1e-9)
        timed, left = step - self._timed_from, None
        if timed:
            per_step = (now - self._start - self._paused) / timed
            steps = per_step * (self._num_steps - step)
            left = steps + self._forecast.seconds_left(step)
        window = Window(
            step=step,
            num_steps=self._num_steps,
            metrics=metrics,
            images_per_second=(step - self._window_first) * self._batch_size / seconds,
            data_wait_fraction=min(1.0, self._window_waited / seconds),
            seconds_left=left,
            is_due=is_due,
            knows_the_end=self._forecast.knows_the_end,
        )
        self._window_start, self._window_first = now, step
        self._window_paused = self._window_waited = 0.0
        return window
