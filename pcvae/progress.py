"""How far long work is: plain lines with a rate and a time left, few of them."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

SECONDS_BETWEEN_LINES = 3.0
T = TypeVar("T")


def report(line: str) -> None:
    """Prints one line for the person who waits (standard error, so that results stay clean)."""
    print("\\n".join(line.splitlines()), file=sys.stderr, flush=True)


def progress_of(label: str) -> Callable[[Sequence[T]], Iterator[T]]:
    """Returns a function that puts `with_progress` around the batches or steps it gets."""
    return lambda items: with_progress(items, len(items), label)


def with_progress(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Yields the items and prints how far it is, with the time left, every few seconds.

    The time left is that of the items after the first one, which may have traced a graph. Work that
    ends before the first line is due prints one line only, at its end.

    Args:
        items: an iterable.
        total: how many items will come.
        label: what is being done, for example ``"synthetic: drawing images"``.

    Yields:
        The items, one by one.
    """
    start = last = first = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if done == 1:
            first = now
        if now - last >= SECONDS_BETWEEN_LINES and done < total:
            last = now
            line = f"{label}: {done:,} of {total:,} ({100 * done // total}%)"
            left = (now - first) / (done - 1) * (total - done) if done > 1 else None
            report(line if left is None else f"{line}, {left:.0f} s left")
    report(f"{label}: {done:,} done in {time.monotonic() - start:.1f} s")


@contextlib.contextmanager
def waiting(label: str) -> Iterator[None]:
    """Prints, ever more rarely, that a block goes on: for one long call. Also a decorator.

    A block that ends before the first line is due, such as one with an error, prints nothing.

    Args:
        label: what is being done, for example ``"encoding images"``.
    """
    start, over = time.monotonic(), threading.Event()

    def tell():
        seconds = SECONDS_BETWEEN_LINES
        while not over.wait(seconds):
            seconds *= 2
            report(f"{label}: {time.monotonic() - start:.0f} s so far")

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
