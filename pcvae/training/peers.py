"""The other workers of a run: who is awaited, whether one is lost, and where all of them stop.

TensorFlow's collective operations wait for a lost worker for minutes, in calls that nothing
interrupts, and then answer with errors of their own. So every worker holds a connection to every
other one: the kernel ends it at once when a process ends, however that happens. They are made at
the addresses of TF_CONFIG, before TensorFlow listens there, so that no other port is needed.
"""

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import tensorflow as tf

from pcvae.errors import UserError
from pcvae.signals import Stopped, end_process
from pcvae.training.cluster import Cluster
from pcvae.training.meeting import line_of, meet

# All ours.
PATIENCE = "PCVAE_WORKER_TIMEOUT_SECONDS"  # variable: how long workers are awaited
PATIENCE_SECONDS = 120.0  # where it is not set
_ANSWER_SECONDS = 5.0
_GRACE_SECONDS = 1.0  # for a worker that has an error of its own to tell, as all of them may have
_VERDICT_SECONDS = 6.0  # after an error of TensorFlow, which may hear of a lost worker first
_BYE, _STOP, _NOTED, _SIGNAL, _OVER = "bye", "stop", "noted", "signal", "over"
T = TypeVar("T")


class Peers:
    """The connections of one worker to all others."""

    def __init__(self, cluster: Cluster, patience_seconds: float | None = None) -> None:
        """Meets the others, which takes until the last of them is there.

        Args:
            cluster: who takes part.
            patience_seconds: how long they are awaited; None for what the environment variable
                PCVAE_WORKER_TIMEOUT_SECONDS says, or 120.

        Raises:
            UserError: the own address cannot be taken; a worker did not come in time; it has
                another cluster in its TF_CONFIG; or the variable holds no seconds.
        """
        self._cluster = cluster
        patience_seconds = _patience_seconds() if patience_seconds is None else patience_seconds
        self._sockets = meet(cluster, patience_seconds, PATIENCE)
        # Called, in another thread, with the number of a signal that another worker got.
        self.on_signal: Callable[[int], None] | None = None
        self._watched = threading.Event()
        self._over = threading.Event()  # the block of `watched` was left
        self._needed = True
        self.saving = threading.Lock()  # who holds it is not ended by another worker's signal
        self._noted = threading.Semaphore(0)
        self._remedy = _start_again
        self._wishes_to_stop = False
        self._moments = 0
        self._last_moment: int | None = None  # at which all stop; None for no such wish
        threading.Thread(target=self._watch, name="watch of workers", daemon=True).start()

    @contextlib.contextmanager
    def watched(self, remedy: Callable[[], str] | None = None) -> Iterator[None]:
        """Ends the process, with one line and code 2, where a worker is lost during the block.

        Args:
            remedy: returns what the line ends with: what to do, and what comes of it.
        """
        self._remedy = remedy or _start_again
        self._over.clear()
        self._watched.set()
        try:
            yield
        except tf.errors.OpError:
            time.sleep(_VERDICT_SECONDS)
            raise
        finally:
            self._over.set()
            self._watched.clear()

    def leave(self) -> None:
        """Parts in peace: the end of any worker is no loss to another one any more.

        To call when all that the workers compute together is done.
        """
        self._needed = False
        self._send(_BYE)

    def pass_on(self, number: int) -> None:
        """Tells the others of a signal: one of them may do what this worker waits for."""
        self._send(f"{_SIGNAL} {number}")

    def end_all(self, number: int) -> None:
        """Ends the others, too, where a signal ends this worker and they wait for it in vain.

        To call when all is saved. They end at once, with a line and the code of the signal.
        """
        self._needed = False
        self._send(f"{_OVER} {number}")

    def wish_to_stop(self) -> None:
        """Has all workers stop at the moment after the next one."""
        self._wishes_to_stop = True

    @property
    def stop_here(self) -> bool:
        """Whether this is the moment at which all workers stop."""
        return self._last_moment is not None and self._moments >= self._last_moment

    def moment(self) -> bool:
        """Counts a moment at which all workers can stop; returns whether they do.

        Each of them calls this whenever something is done that took all of them. Who wishes to stop
        then names the next moment, since another worker may have passed this one, but cannot come
        to the next one alone. The others know it when this returns.
        """
        self._moments += 1
        if self._wishes_to_stop and self._last_moment is None:
            self._last_moment = self._moments + 1
            for _ in range(self._send(f"{_STOP} {self._last_moment}")):
                self._noted.acquire(timeout=_ANSWER_SECONDS)
        return self.stop_here

    def between(self, items: Iterable[T]) -> Iterator[T]:
        """Yields items, of which each takes all workers; raises `Stopped` after the last `moment`.

        Args:
            items: as many for each worker.
        """
        for item in items:
            yield item
            if self.moment():
                raise Stopped

    def _send(self, message):
        """Sends a line to all; returns how many got it."""
        count = 0
        for peer in self._sockets.values():
            with contextlib.suppress(OSError):
                peer.sendall(f"{message}\n".encode())
                count += 1
        return count

    def _watch(self):
        """Reads what the others say, until one is lost."""
        with selectors.DefaultSelector() as selector:
            for index, peer in self._sockets.items():
                selector.register(peer, selectors.EVENT_READ, index)
            while selector.get_map():
                for key, _ in selector.select():
                    try:
                        line = line_of(key.fileobj)
                    except OSError:
                        line = ""
                    kind, _, number = line.partition(" ")
                    if kind == _STOP:
                        self._last_moment = int(number)
                        with contextlib.suppress(OSError):
                            key.fileobj.sendall(f"{_NOTED}\n".encode())
                    elif kind == _NOTED:
                        self._noted.release()
                    elif kind == _SIGNAL:
                        if self.on_signal:
                            self.on_signal(int(number))
                    else:
                        selector.unregister(key.fileobj)
                        if kind == _OVER:
                            self._end_with(key.data, int(number))
                        elif kind != _BYE:
                            self._end(key.data)

    def _end(self, index):
        """Ends the process, as soon as it is watched."""
        while True:
            self._watched.wait()
            if not self._over.wait(_GRACE_SECONDS):
                break
        if not self._needed:
            return
        end_process(
            2,
            f"pcvae: error: {self._cluster.names([index])} is lost: its process has ended, or its "
            f"machine does not answer; {self._remedy()}",
        )

    def _end_with(self, index, number):
        """Ends the process as a signal has ended a worker, as soon as it is watched."""
        self._watched.wait()
        name = self._cluster.names([index])
        with self.saving:
            if not self._needed:
                return
            end_process(128 + number, f"pcvae: interrupted, as {name} was; {self._remedy()}")


def _patience_seconds():
    text = os.environ.get(PATIENCE) or str(PATIENCE_SECONDS)
    with contextlib.suppress(ValueError):
        if 0.0 < (seconds := float(text)) < float("inf"):
            return seconds
    raise UserError(f"{PATIENCE}: expected seconds above 0, got {text!r}")


def _start_again():
    return "start the same command on all machines again"
