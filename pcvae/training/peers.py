"""The other workers of a run: who is awaited, whether one is lost, and where all of them stop.

TensorFlow's collective operations wait for a lost worker for minutes, in calls that nothing
interrupts, and then answer with errors of their own. So every worker holds a connection to every
other one: the kernel ends it at once when a process ends, however that happens. They are made at
the addresses of TF_CONFIG, before TensorFlow listens there, so that no other port is needed.
"""

import contextlib
import json
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import tensorflow as tf

from pcvae.errors import UserError
from pcvae.progress import report
from pcvae.signals import Stopped, end_process
from pcvae.training.cluster import Cluster

# All ours.
PATIENCE = "PCVAE_WORKER_TIMEOUT_SECONDS"  # variable: how long workers are awaited
PATIENCE_SECONDS = 120.0  # where it is not set
_FIRST_LINE_SECONDS, _NEXT_LINE_SECONDS = 1.0, 60.0
_TRY_SECONDS = 0.5
_ANSWER_SECONDS = 5.0
_GRACE_SECONDS = 1.0  # for a worker that has an error of its own to tell, as all of them may have
_VERDICT_SECONDS = 6.0  # after an error of TensorFlow, which may hear of a lost worker first
_MAX_BYTES = 1 << 16
# A machine that is gone closes nothing: after 2 + 3 * 1 seconds without an answer it is lost.
_KEEPALIVE = {"TCP_KEEPIDLE": 2, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3}
_BYE, _STOP, _NOTED = "bye", "stop", "noted"
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
        self._own = cluster.workers.index(cluster.own)
        self._sockets: dict[int, socket.socket] = {}
        self._meet(_patience_seconds() if patience_seconds is None else patience_seconds)
        self._watched = threading.Event()
        self._over = threading.Event()  # the block of `watched` was left
        self._needed = True
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

    def _meet(self, patience_seconds):
        """Connects to those before this worker, and takes the connections of those after it."""
        start = time.monotonic()
        next_line = start + _FIRST_LINE_SECONDS
        with self._listener() as listener:
            while missing := self._missing():
                now = time.monotonic()
                if now - start >= patience_seconds:
                    raise UserError(
                        f"waited {patience_seconds:g} s in vain for {self._names(missing)}: start "
                        "the same command there, with the same 'cluster' in TF_CONFIG; "
                        f"{PATIENCE} sets how long"
                    )
                if now >= next_line:
                    next_line = now + _NEXT_LINE_SECONDS
                    report(
                        f"{self._cluster.name(self._own)} is waiting for {self._names(missing)}, "
                        f"up to {patience_seconds:g} s ({PATIENCE}): start the same command there"
                    )
                for index in (index for index in missing if index < self._own):
                    with contextlib.suppress(OSError):  # not there yet
                        self._greet(self._connection(index), index)
                with contextlib.suppress(OSError):  # nobody came
                    self._greet(listener.accept()[0])

    def _listener(self):
        port = int(self._cluster.workers[self._own].rpartition(":")[2])
        try:
            if socket.has_dualstack_ipv6():
                listener = socket.create_server(
                    ("", port), family=socket.AF_INET6, dualstack_ipv6=True
                )
            else:
                listener = socket.create_server(("", port))
        except OSError as error:
            raise UserError(
                f"the port of {self._names([self._own])} cannot be taken ({_reason(error)}): is "
                "another process there, such as one of this run? End it, or give another port in "
                "TF_CONFIG"
            ) from error
        listener.settimeout(_TRY_SECONDS)
        return listener

    def _missing(self):
        """Returns who is not connected, without those that went away again."""
        for index in [index for index, peer in self._sockets.items() if _has_ended(peer)]:
            self._sockets.pop(index).close()
        count = len(self._cluster.workers)
        return [index for index in range(count) if index not in {self._own, *self._sockets}]

    def _connection(self, index):
        host, _, port = self._cluster.workers[index].rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), _TRY_SECONDS)

    def _greet(self, peer, expected=None):
        """Exchanges who both are; keeps the connection if it is one of this run."""
        peer.settimeout(_ANSWER_SECONDS)
        own = {"workers": self._cluster.workers, "index": self._own}
        peer.sendall(f"{json.dumps(own)}\n".encode())
        try:
            other = json.loads(_line(peer))
            index, workers = other["index"], other["workers"]
        except (ValueError, TypeError, KeyError):
            peer.close()  # somebody else
            return
        if workers != list(self._cluster.workers):
            raise UserError(
                f"TF_CONFIG: 'cluster' differs between the workers: {', '.join(workers)} in "
                f"that of worker {index}, {', '.join(self._cluster.workers)} here"
            )
        if index == self._own or expected not in (None, index):
            peer.close()
            return
        peer.settimeout(None)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self._sockets[index] = peer

    def _watch(self):
        """Reads what the others say, until one is lost."""
        with selectors.DefaultSelector() as selector:
            for index, peer in self._sockets.items():
                selector.register(peer, selectors.EVENT_READ, index)
            while selector.get_map():
                for key, _ in selector.select():
                    try:
                        line = _line(key.fileobj)
                    except OSError:
                        line = ""
                    kind, _, moment = line.partition(" ")
                    if kind == _STOP:
                        self._last_moment = int(moment)
                        with contextlib.suppress(OSError):
                            key.fileobj.sendall(f"{_NOTED}\n".encode())
                    elif kind == _NOTED:
                        self._noted.release()
                    else:
                        selector.unregister(key.fileobj)
                        if kind != _BYE:
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
            f"pcvae: error: {self._names([index])} is lost: its process has ended, or its machine "
            f"does not answer; {self._remedy()}",
        )

    def _names(self, indices):
        return ", ".join(
            f"{self._cluster.name(index)} ({self._cluster.workers[index]})" for index in indices
        )


def _patience_seconds():
    text = os.environ.get(PATIENCE) or str(PATIENCE_SECONDS)
    with contextlib.suppress(ValueError):
        if 0.0 < (seconds := float(text)) < float("inf"):
            return seconds
    raise UserError(f"{PATIENCE}: expected seconds above 0, got {text!r}")


def _start_again():
    return "start the same command on all machines again"


def _reason(error):
    return os.strerror(error.errno) if error.errno else str(error)


def _has_ended(peer):
    try:
        return not peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _line(peer):
    """Reads a line, without its end; "" if the connection has ended."""
    data = b""
    while not data.endswith(b"\n"):
        byte = peer.recv(1)
        if not byte or len(data) > _MAX_BYTES:
            return ""
        data += byte
    return data.decode(errors="replace")[:-1]
