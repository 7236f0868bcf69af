"""Signals that end training: at which place of the loop, and together with other workers."""

import contextlib
import signal
import threading
from collections.abc import Callable, Container, Iterator

from pcvae.signals import LATE_SECONDS, Stopped, is_repetition, numbers_in_a_pipe, stop_numbers
from pcvae.training.peers import Peers


class Stop:
    """Whether training is to end.

    Args:
        end_late: called from another thread with the number of the signal, and whether steps were
            taken, where the main thread is in a call that does not end. That waits meanwhile.
        peers: the other workers, if there are any, which end at the same `Peers.moment`; or where
            one of them waits, and this worker does alone what it waits for.
    """

    def __init__(
        self, end_late: Callable[[int, bool], None] | None = None, peers: Peers | None = None
    ) -> None:
        """Begins without a wish to end."""
        self._number: int | None = None  # of the first signal
        self._end_late = end_late
        self._peers = peers
        self._interrupts = False
        self._steps_taken = False
        self._ends_late = False
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    def note(self, number: int) -> None:
        """Notes a signal; raises `Stopped` inside the block of `interrupting`."""
        self._number = number
        if self._peers:
            self._peers.wish_to_stop()
        if self._interrupts:
            raise Stopped

    @contextlib.contextmanager
    def interrupting(self, steps_taken: bool = True) -> Iterator[None]:
        """Raises `Stopped` where a signal interrupts the block, or has come before it.

        Args:
            steps_taken: whether there is something to save, and the block leaves it alone.
        """
        self._steps_taken = steps_taken
        self._interrupts = True
        try:
            if self._number is not None:
                raise Stopped
            yield
        finally:
            with self._lock:
                self._interrupts = False
            while self._ends_late:
                threading.Event().wait(1.0)  # for the end, without touching what is saved

    @property
    def number(self) -> int | None:
        """The number of the first signal, which may have come to another worker; None for none."""
        stop_here = self._peers is not None and self._peers.stop_here
        return signal.SIGTERM if self._number is None and stop_here else self._number

    def after_step(self) -> bool:
        """Says whether training ends after a step, which all workers have taken."""
        return self._peers.moment() if self._peers else self._number is not None

    def after_actions(self) -> bool:
        """Says whether training ends after what follows a step: it may without other workers."""
        return self._peers is None and self._number is not None

    def watch(self, pipe: int, numbers: Container[int]) -> None:
        """Ends late what a signal has not ended.

        Args:
            pipe: descriptor from which the numbers of signals come, until it is closed.
            numbers: those that count.
        """
        # Open to the end: a signal that finds no reader would be told as an error.
        with open(pipe, "rb", buffering=0) as file:
            while (byte := file.read(1)) and byte[0] not in numbers:
                pass
            if byte and self._peers:
                self._peers.pass_on(byte[0])
            if byte:
                self._end_in_time(byte[0])

    def hear(self, number: int) -> None:
        """Ends late, too, where a signal has come to another worker."""
        threading.Thread(target=self._end_in_time, args=(number,), daemon=True).start()

    def _end_in_time(self, number):
        while not self._is_over.wait(LATE_SECONDS):
            with self._lock:
                if self._ends_late:
                    return  # of several workers two may have got a signal
                self._ends_late = self._interrupts
            if self._ends_late and self._end_late:
                self._end_late(number, self._steps_taken)
                self._ends_late = False
                self._is_over.wait()

    def end(self) -> None:
        """Ends the watch."""
        self._is_over.set()


@contextlib.contextmanager
def stop_signals(
    end_late: Callable[[int, bool], None] | None = None, peers: Peers | None = None
) -> Iterator[Stop]:
    """Notes the signals that ask for an end; a second one acts as it would without this.

    Args:
        end_late: see `Stop`. Not called where Python's own handler of SIGINT was, as in a notebook,
            whose process goes on.
        peers: see `Stop`.
    """
    stop = Stop(end_late, peers)
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
    ending = {n for n, handler in previous.items() if handler is not signal.default_int_handler}
    try:
        if end_late is None:
            yield stop
            return
        with numbers_in_a_pipe() as pipe, _heard_by(stop, peers):
            threading.Thread(target=stop.watch, args=(pipe, ending), daemon=True).start()
            yield stop
    finally:
        stop.end()
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _heard_by(stop, peers):
    """Lets a `Stop` hear of the signals of other workers, if there are any."""
    if peers is None:
        yield
        return
    before, peers.on_signal = peers.on_signal, stop.hear
    try:
        yield
    finally:
        peers.on_signal = before
