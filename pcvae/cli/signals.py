"""A signal at any moment of a command: one line, and the exit code of the signal."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from pcvae.signals import (
    LATE_SECONDS,
    Stopped,
    end_process,
    is_repetition,
    numbers_in_a_pipe,
    stop_numbers,
)

LINE = "pcvae: interrupted"


@contextlib.contextmanager
def raised(received: list[int], is_process: bool = False) -> Iterator[None]:
    """Raises `Stopped` where a signal interrupts the block; a second one ends the process at once.

    Who has state to save handles signals itself meanwhile, as the training loop does.

    Args:
        received: a list that takes the numbers of the signals that come.
        is_process: whether the process ends with the block. A signal then kills it without a word
            afterwards, while Python shuts down.
    """

    def stop(number, _frame):
        if is_repetition(number, received):
            return
        if received:
            _end(number, sys.__stderr__.fileno())
        received.append(number)
        if is_process:
            _say_the_last_line()
        raise Stopped

    def hook(unraisable):
        # From a finaliser no exception gets out: Python would print it and go on.
        if not isinstance(unraisable.exc_value, Stopped):
            previous_hook(unraisable)
        elif received:  # else who raised it looks for himself
            _end(received[0], sys.__stderr__.fileno())

    in_time = _ended_late(stop) if is_process else contextlib.nullcontext()
    previous_hook, sys.unraisablehook = sys.unraisablehook, hook
    try:
        with handled_by(stop, signal.SIG_DFL if is_process else None), in_time:
            yield
    finally:
        sys.unraisablehook = previous_hook


@contextlib.contextmanager
def end_the_process(standard_error: int) -> Iterator[None]:
    """Lets a signal in the block end the process at once, with its line on a file descriptor."""
    with handled_by(lambda number, _frame: _end(number, standard_error)):
        yield


@contextlib.contextmanager
def handled_by(handler: Any, afterwards: Any = None) -> Iterator[None]:
    """Handles what asks for an end in the block; then by ``afterwards``, or as before."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    previous = {number: signal.signal(number, handler) for number in stop_numbers()}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before if afterwards is None else afterwards)


@contextlib.contextmanager
def _ended_late(handler):
    """Ends the process where a signal is for a handler that does not come to its end in time."""
    is_over = threading.Event()

    def watch(pipe):
        with open(pipe, "rb", buffering=0) as file:
            while byte := file.read(1):
                number = byte[0]
                if signal.getsignal(number) is handler and not is_over.wait(LATE_SECONDS):
                    end_process(128 + number, LINE)

    with numbers_in_a_pipe() as pipe:
        threading.Thread(target=watch, args=(pipe,), daemon=True).start()
        try:
            yield
        finally:
            is_over.set()


def _say_the_last_line():
    """Says the one line of a signal now, and nothing after it on standard error.

    On its way to the end of the work `Stopped` passes other people's code, which tells of it.
    """
    _say(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _end(number, standard_error):
    _say(standard_error)
    os._exit(128 + number)


def _say(standard_error):
    with contextlib.suppress(OSError):  # the terminal may be what has gone
        os.write(standard_error, f"{LINE}\n".encode())
