"""Which signals ask a process to stop."""

import signal


class Stopped(BaseException):
    """A signal came; no ``except Exception`` on the way to the end of the work keeps it."""


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
