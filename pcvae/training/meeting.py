"""Workers that meet: each connects to all others, at the addresses of TF_CONFIG."""

import contextlib
import json
import os
import socket
import time

from pcvae.errors import UserError
from pcvae.progress import report
from pcvae.training.cluster import Cluster

# All ours.
_FIRST_LINE_SECONDS, _NEXT_LINE_SECONDS = 1.0, 60.0
_TRY_SECONDS = 0.5
_ANSWER_SECONDS = 5.0
_MAX_BYTES = 1 << 16
# A machine that is gone closes nothing: after 2 + 3 * 1 seconds without an answer it is lost.
_KEEPALIVE = {"TCP_KEEPIDLE": 2, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3}


def meet(cluster: Cluster, patience_seconds: float, variable: str) -> dict[int, socket.socket]:
    """Returns a connection to each other worker, by its index: {index: socket}.

    Each connects to those before it, and takes the connections of those after it.

    Args:
        cluster: who takes part.
        patience_seconds: how long the others are awaited.
        variable: the environment variable that sets it, for what is said.

    Raises:
        UserError: the own address cannot be taken; a worker did not come in time; or it has
            another cluster in its TF_CONFIG.
    """
    meeting = _Meeting(cluster)
    start = time.monotonic()
    next_line = start + _FIRST_LINE_SECONDS
    with meeting.listener() as listener:
        while missing := meeting.missing():
            now, names = time.monotonic(), cluster.names(missing)
            if now - start >= patience_seconds:
                raise UserError(
                    f"waited {patience_seconds:g} s in vain for {names}: start the same command "
                    f"there, with the same 'cluster' in TF_CONFIG; {variable} sets how long"
                )
            if now >= next_line:
                next_line = now + _NEXT_LINE_SECONDS
                report(
                    f"{cluster.name(meeting.own)} is waiting for {names}, up to "
                    f"{patience_seconds:g} s ({variable}): start the same command there"
                )
            for index in (index for index in missing if index < meeting.own):
                with contextlib.suppress(OSError):  # not there yet
                    meeting.greet(_connection(cluster.workers[index]), index)
            with contextlib.suppress(OSError):  # nobody came
                meeting.greet(listener.accept()[0])
    return meeting.sockets


def line_of(peer: socket.socket) -> str:
    """Reads a line, without its end; "" if the connection has ended."""
    data = b""
    while not data.endswith(b"\n"):
        byte = peer.recv(1)
        if not byte or len(data) > _MAX_BYTES:
            return ""
        data += byte
    return data.decode(errors="replace")[:-1]


class _Meeting:
    """Who is there."""

    def __init__(self, cluster):
        self._cluster = cluster
        self.own = cluster.workers.index(cluster.own)
        self.sockets = {}

    def listener(self):
        port = int(self._cluster.workers[self.own].rpartition(":")[2])
        try:
            if socket.has_dualstack_ipv6():
                listener = socket.create_server(
                    ("", port), family=socket.AF_INET6, dualstack_ipv6=True
                )
            else:
                listener = socket.create_server(("", port))
        except OSError as error:
            name = self._cluster.names([self.own])
            raise UserError(
                f"the port of {name} cannot be taken ({_reason(error)}): is another process there, "
                "such as one of this run? End it, or give another port in TF_CONFIG"
            ) from error
        listener.settimeout(_TRY_SECONDS)
        return listener

    def missing(self):
        """Returns who is not connected, without those that went away again."""
        for index in [index for index, peer in self.sockets.items() if _has_ended(peer)]:
            self.sockets.pop(index).close()
        count = len(self._cluster.workers)
        return [index for index in range(count) if index not in {self.own, *self.sockets}]

    def greet(self, peer, expected=None):
        """Exchanges who both are; keeps the connection if it is one of this run."""
        peer.settimeout(_ANSWER_SECONDS)
        own = {"workers": self._cluster.workers, "index": self.own}
        peer.sendall(f"{json.dumps(own)}\n".encode())
        try:
            other = json.loads(line_of(peer))
            index, workers = other["index"], other["workers"]
        except (ValueError, TypeError, KeyError):
            peer.close()  # somebody else
            return
        if workers != list(self._cluster.workers):
            raise UserError(
                f"TF_CONFIG: 'cluster' differs between the workers: {', '.join(workers)} in "
                f"that of worker {index}, {', '.join(self._cluster.workers)} here"
            )
        if index == self.own or expected not in (None, index):
            peer.close()
            return
        peer.settimeout(None)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self.sockets[index] = peer


def _connection(address):
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), _TRY_SECONDS)


def _reason(error):
    return os.strerror(error.errno) if error.errno else str(error)


def _has_ended(peer):
    try:
        return not peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
