"""How long the rest of training takes: its steps, and what is done between them."""

from collections.abc import Sequence
from typing import Any


class Forecast:
    """The time that actions will take, by the time that they have taken.

    The first run of an action traces graphs, later ones do not. Before an action has run, its first
    run is taken to trace for as long as the training step has traced, times `Action.tracing`; after
    it, what it took beyond that stands for each later run, until those are measured themselves.
    Then what comes after the last step is counted, too: it may be many times as long.

    Args:
        actions: what runs between steps.
        num_steps: steps in all.
    """

    def __init__(self, actions: Sequence[Any], num_steps: int) -> None:
        self._actions = actions
        self._num_steps = num_steps
        self._seconds = [[] for _ in actions]
        self.tracing_seconds = 0.0  # of the training step

    def took(self, index: int, seconds: float) -> None:
        """Notes how long a run of an action has taken."""
        self._seconds[index].append(seconds)

    @property
    def knows_the_end(self) -> bool:
        """Whether what comes after the last step (`Action.again`) is counted."""
        runs = [
            len(seconds)
            for action, seconds in zip(self._actions, self._seconds, strict=True)
            if action.again
        ]
        return bool(runs) and min(runs) > 1

    def seconds_left(self, step: int) -> float:
        """Returns how long the actions will take that are due at a step and after it."""
        knows_the_end = self.knows_the_end
        return sum(
            self._of(index, self.runs_left(action, step) + knows_the_end * action.again)
            for index, action in enumerate(self._actions)
        )

    def runs_left(self, action: Any, step: int) -> int:
        """Returns how often an action will run, at a step and after it."""
        count = self._num_steps // action.every_steps - (step - 1) // action.every_steps
        return count + bool(action.at_end and self._num_steps % action.every_steps)

    def _of(self, index, runs):
        measured = self._seconds[index]
        tracing = self._actions[index].tracing * self.tracing_seconds
        if not measured:
            return tracing if runs else 0.0
        later = measured[1:] or [max(measured[0] - tracing, 0.0)]
        return runs * sum(later) / len(later)
