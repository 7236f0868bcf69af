"""Signals that end training: at which place of the loop, and after which step of all workers."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from pcvae.signals import Stopped, is_repetition, stop_numbers
from pcvae.training.peers import Peers


class Stop:
    """Whether training is to end."""

    def __init__(self) -> None:
        """Begins without a wish to end."""
        self.number: int | None = None  # of the first signal
        self._interrupts = False

    def note(self, number: int) -> None:
        """Notes a signal; raises `Stopped` inside the block of `interrupting`."""
        self.number = number
        if self._interrupts:
            raise Stopped

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """Raises `Stopped` where a signal interrupts the block, or has come before it."""
        self._interrupts = True
        try:
            if self.number is not None:
                raise Stopped
            yield
        finally:
            self._interrupts = False

    def after(self, step: int, peers: Peers | None = None) -> bool:
        """Says whether training ends after a step.

        With several workers all of them end after one step: the next one, since another worker may
        have begun it.
        """
        if peers is None:
            return self.number is not None
        if peers.last_step is not None:
            self.number = self.number or signal.SIGTERM
        elif self.number is not None:
            peers.stop_after(step + 1)
        return peers.last_step is not None and step >= peers.last_step


@contextlib.contextmanager
def stop_signals() -> Iterator[Stop]:
    """Notes the signals that ask for an end; a second one acts as it would without this."""
    stop = Stop()
    received = []

    def note(number, _frame):
        if is_repetition(number, received):
            return
        if received:
            signal.signal(number, previous[number])
            signal.raise_signal(number)
        received.append(number)
        stop.note(number)

    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may set handlers
        return
    previous = {number: signal.signal(number, note) for number in stop_numbers()}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
