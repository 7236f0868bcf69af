"""Workers that meet, in threads of one process; that a lost one ends the others needs processes."""

import json
import queue
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from pcvae.errors import UserError
from pcvae.signals import Stopped
from pcvae.training import peers as peers_module
from pcvae.training.cluster import Cluster
from pcvae.training.peers import PATIENCE, Peers
from pcvae.training.stopping import Stop


def free_addresses(count):
    sockets = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return tuple(f"localhost:{port}" for port in ports)


def meet(*clusters):
    """Starts a worker for each (workers, index); returns their `Peers`, or errors."""

    def start(workers, index):
        try:
            return Peers(Cluster(workers, workers[index]), 20.0)
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda cluster: start(*cluster), clusters))


def greet(address, hello):
    """Connects to a worker, and says something; returns the connection."""
    host, port = address.split(":")
    while True:
        try:
            connection = socket.create_connection((host, int(port)))
        except ConnectionRefusedError:
            continue
        connection.sendall(hello.encode() + b"\n")
        return connection


def test_a_wish_to_stop_is_known_to_all_as_soon_as_it_is_said():
    """The second of three workers gets a signal in its second step, an evaluation follows."""
    workers = free_addresses(3)
    peers = meet(*((workers, index) for index in range(3)))
    stops = [Stop(None, peer) for peer in peers]
    assert [stop.after_step() for stop in stops] == [False] * 3
    stops[1].note(signal.SIGINT)
    assert not stops[2].after_step()
    assert not stops[1].after_step()  # the third one may have begun what comes next
    assert not stops[0].after_step()
    assert [stop.number for stop in stops] == [None, signal.SIGINT, None]

    def evaluate(peer):
        for batch in peer.between(range(5)):
            batches.append(batch)

    batches = []
    for peer in peers:
        with pytest.raises(Stopped):
            evaluate(peer)
    assert batches == [0, 0, 0]
    assert [stop.number for stop in stops] == [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("leaves", [False, True])
def test_a_worker_that_ends_by_a_signal_ends_the_others(monkeypatch, leaves):
    workers, ended = free_addresses(2), queue.Queue()
    monkeypatch.setattr(peers_module, "end_process", lambda *how: ended.put(how))
    first, second = meet((workers, 0), (workers, 1))
    with first.watched(lambda: "what to do"):
        if leaves:
            first.leave()
        with first.saving, pytest.raises(queue.Empty):  # what is saved comes to its end
            second.end_all(signal.SIGHUP)
            ended.get(timeout=0.1)
        if leaves:
            with pytest.raises(queue.Empty):
                ended.get(timeout=0.1)
        else:
            name = f"worker 1 ({workers[1]})"
            line = f"pcvae: interrupted, as {name} was; what to do"
            assert ended.get(timeout=60.0) == (128 + signal.SIGHUP, line)


def test_who_does_not_come_or_goes_away_is_named(capsys):
    workers = free_addresses(3)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(Peers, Cluster(workers, workers[0]), 2.5)
        hello = json.dumps({"workers": workers, "index": 1})
        with greet(workers[0], hello) as connection:
            assert b'"index": 0' in connection.recv(1000)
        greet(workers[0], "GET / HTTP/1.1").close()
        missing = f"worker 1 ({workers[1]}), worker 2 ({workers[2]})"
        with pytest.raises(UserError) as error:
            waiting.result()
    assert f"in vain for {missing}: start the same command there" in str(error.value)
    said = capsys.readouterr().err
    assert f"worker 0 is waiting for {missing}, up to 2.5 s ({PATIENCE}): start the same" in said


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_the_time_that_workers_are_awaited_is_seconds_of_the_environment(monkeypatch, text):
    workers = free_addresses(2)
    monkeypatch.setenv(PATIENCE, text)
    with pytest.raises(UserError, match=f"^{PATIENCE}: expected seconds above 0, got {text!r}$"):
        Peers(Cluster(workers, workers[0]))
    monkeypatch.setenv(PATIENCE, "0.2")
    with pytest.raises(UserError, match="^waited 0.2 s in vain for worker 1"):
        Peers(Cluster(workers, workers[0]))


def test_workers_with_different_clusters_say_so():
    first, second, third = free_addresses(3)
    errors = meet(((first, second), 0), ((first, second, third), 1))
    assert f"{first}, {second}, {third} in that of worker 1, {first}, {second} here" in errors[0]
    assert f"{first}, {second} in that of worker 0, {first}, {second}, {third} here" in errors[1]


def test_a_port_that_is_taken_is_one_line():
    workers = free_addresses(2)
    with socket.create_server(("", int(workers[1].split(":")[1]))):
        (error,) = meet((workers, 1))
    assert error.startswith(f"the port of worker 1 ({workers[1]}) cannot be taken (Address ")
    assert "\n" not in error
