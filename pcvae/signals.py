"""Which signals ask a process to stop, and how it ends at once."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn


class Stopped(BaseException):
    """A signal came; no ``except Exception`` on the way to the end of the work keeps it."""


# A signal reaches Python only when a call of TensorFlow returns: one that takes longer is not
# waited for where nothing is lost by that (ours).
LATE_SECONDS = 2.0
HANG_UP = getattr(signal, "SIGHUP", None)  # Windows has none


def stop_numbers() -> tuple[int, ...]:
    """Returns the signals that ask for an end: SIGINT, SIGTERM, and SIGHUP unless it is ignored.

    ``nohup`` has a hang-up ignored, so that the work goes on without its terminal.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    if HANG_UP is None or signal.getsignal(HANG_UP) == signal.SIG_IGN:
        return numbers
    return (*numbers, HANG_UP)


def is_repetition(number: int, received: list[int]) -> bool:
    """Says whether a signal asks for nothing that one before it has not asked for.

    A closed terminal sends SIGHUP to everybody below it, and those pass it on: a second one is no
    impatience, as a second Ctrl-C is.
    """
    return number == HANG_UP and bool(received)


@contextlib.contextmanager
def numbers_in_a_pipe() -> Iterator[int]:
    """Gives a descriptor from which the numbers of signals come, whatever the main thread does.

    It ends with the block. Who reads closes it, and not before that: a signal that finds no reader
    would be told as an error.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)


def end_process(code: int, line: str = "") -> NoReturn:
    """Ends the process from any thread, with a line on standard error.

    Nothing of what TensorFlow has made is taken apart, which may take long.

    Args:
        code: the exit code.
        line: what is said, without an end of line; "" for nothing.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    if line:
        with contextlib.suppress(OSError):  # the terminal may be what has gone
            os.write(2, f"{line}\n".encode(errors="backslashreplace"))
    os._exit(code)
