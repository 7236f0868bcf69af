"""The loop: when things happen, what windows say, and how a signal ends it."""

import hashlib
import os
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import Interrupted
from pcvae.training import Action, loop, stopping, train
from pcvae.training.cluster import Cluster
from pcvae.training.peers import Peers
from pcvae.training.stopping import stop_signals
from pcvae.training.update import UpdateReport
from tests.training.test_peers import free_addresses, meet


class CountingTrainer:
    """Steps that return their own number."""

    def __init__(self, steps_taken=0, on_step=None):
        self.steps_taken = steps_taken
        self.update = SimpleNamespace(raise_if_diverged=lambda report: None)
        self.on_step = on_step

    def step(self, batch):
        self.steps_taken += 1
        if self.on_step:
            self.on_step(self.steps_taken)
        number = tf.constant(float(self.steps_taken))
        state = {"lagrange/multiplier": number, "lagrange/multiplier_prefix_003": -number}
        return {
            "loss": number,
            **state,
            "update": UpdateReport(*[number] * len(UpdateReport._fields)),
        }


def run(trainer, num_steps, report_every_steps=3, actions=()):
    windows = []
    batches = iter(range(10**9))
    train(trainer, batches, num_steps, 4, windows.append, report_every_steps, actions)
    return windows


def test_windows_average_the_steps_since_the_last_one_and_have_the_last_of_a_state():
    windows = run(CountingTrainer(), 7)
    assert [window.step for window in windows] == [1, 3, 6, 7]
    np.testing.assert_allclose([w.metrics["loss"] for w in windows], [1, 2.5, 5, 7])
    for name, sign in (("lagrange/multiplier", 1), ("lagrange/multiplier_prefix_003", -1)):
        np.testing.assert_array_equal([sign * w.metrics[name] for w in windows], [1, 3, 6, 7])
    assert windows[-1].metrics["update"].skipped_total == 7


def test_windows_time_training_alone(monkeypatch):
    """A batch takes a second, a step two, the first one ten, and an action a hundred.

    What is left are the steps and the actions, each at the time that it has taken.
    """
    now = [0.0]

    def pass_(seconds):
        now[0] += seconds

    def batches():
        while True:
            pass_(1.0)
            yield None

    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    trainer = CountingTrainer(on_step=lambda step: pass_(10.0 if step == 1 else 2.0))
    windows, action = [], Action(2, lambda step: pass_(100.0))
    train(trainer, batches(), 7, 4, windows.append, 3, [action])
    assert [window.seconds_left for window in windows] == [None, 12.0 + 300.0, 3.0 + 200.0, 100.0]
    np.testing.assert_allclose(
        [window.images_per_second for window in windows], [4 / 11, *[4 / 3] * 3]
    )
    np.testing.assert_allclose(
        [window.data_wait_fraction for window in windows], [1 / 11, *[1 / 3] * 3]
    )


def test_actions_run_at_their_multiples_and_at_the_end():
    seen = []
    actions = [
        Action(2, lambda step: seen.append(("a", step))),
        Action(5, lambda step: seen.append(("b", step))),
        Action(4, lambda step: seen.append(("c", step)), at_end=False),
    ]
    run(CountingTrainer(), 7, actions=actions)
    assert seen == [
        ("a", 2),
        ("a", 4),
        ("c", 4),
        ("b", 5),
        ("a", 6),
        ("a", 7),
        ("b", 7),
    ]


def test_resumes_after_the_steps_taken_and_does_nothing_when_done():
    assert [window.step for window in run(CountingTrainer(steps_taken=4), 6)] == [5, 6]
    assert run(CountingTrainer(steps_taken=6), 6) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_after_the_running_step(number):
    before = signal.getsignal(number)
    trainer = CountingTrainer(
        on_step=lambda step: signal.raise_signal(number) if step == 4 else None
    )
    with pytest.raises(Interrupted) as error:
        run(trainer, 100)
    assert error.value.signal_number == number
    assert trainer.steps_taken == 4
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("at", [4, 6])
def test_a_signal_ends_an_action_unless_it_is_whole_even_at_the_last_step(at):
    seen = []

    def stop(step):
        if step == at:
            signal.raise_signal(signal.SIGTERM)
            seen.append(f"{step} goes on")

    def run_to_the_signal(is_whole):
        actions = [Action(1, stop, is_whole=is_whole), Action(1, seen.append)]
        trainer = CountingTrainer()
        with pytest.raises(Interrupted) as error:
            run(trainer, 6, actions=actions)
        assert (error.value.signal_number, trainer.steps_taken) == (signal.SIGTERM, at)
        return seen

    assert run_to_the_signal(is_whole=False) == list(range(1, at))
    seen.clear()
    assert run_to_the_signal(is_whole=True) == [*range(1, at), f"{at} goes on"]


def test_a_signal_ends_the_tracing_of_the_first_step():
    def step(_):
        trainer.steps_taken -= 1  # it was not done
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("the tracing goes on")

    trainer = CountingTrainer(on_step=step)
    with pytest.raises(Interrupted):
        run(trainer, 6)
    assert trainer.steps_taken == 0


def run_in_a_long_call(monkeypatch, is_whole):
    """Runs actions of which the second step's are a call that no handler gets into.

    Returns what `end_late` got, and whether the call was over by then.
    """
    monkeypatch.setattr(stopping, "LATE_SECONDS", 0.01)
    seen, calls_over = [], []

    def call(step):
        if step == 2:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000)  # about a second
        calls_over.append(step)

    def end_late(number, steps_taken):
        seen.append((number, steps_taken, list(calls_over)))

    with pytest.raises(Interrupted):
        train(
            CountingTrainer(),
            iter(range(9)),
            4,
            1,
            lambda window: None,
            1,
            [Action(1, call, is_whole=is_whole)],
            end_late=end_late,
        )
    return seen


def test_a_call_that_takes_long_is_not_waited_for_unless_it_is_of_a_whole_action(monkeypatch):
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert run_in_a_long_call(monkeypatch, is_whole=False) == [(signal.SIGTERM, True, [1])]
        assert run_in_a_long_call(monkeypatch, is_whole=True) == []
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.set_wakeup_fd(-1) == -1


def alone():
    """Returns the `Peers` of a run with one worker."""
    addresses = free_addresses(1)
    return Peers(Cluster(addresses, addresses[0]))


def pair():
    """Returns the `Peers` of both workers of a run."""
    workers = free_addresses(2)
    return meet((workers, 0), (workers, 1))


def test_a_signal_to_any_worker_ends_what_one_does_alone(monkeypatch):
    monkeypatch.setattr(stopping, "LATE_SECONDS", 0.01)
    (peers, other), seen, ended = pair(), [], threading.Event()

    def end_late(number, steps_taken):
        seen.append((number, steps_taken))
        ended.set()

    def train_up_to(action):
        actions = [Action(2, action, is_alone=True)]
        trainer = CountingTrainer()
        train(
            trainer, iter(range(9)), 3, 1, lambda window: None, 1, actions, peers, end_late=end_late
        )

    def draw(step):
        other.pass_on(signal.SIGHUP)
        assert ended.wait(60.0)  # the process would end
        ended.clear()

    train_up_to(draw)
    assert seen == [(signal.SIGHUP, True)] * 2  # at the second step and at the last one
    with pytest.raises(Interrupted):
        train_up_to(lambda step: (signal.raise_signal(signal.SIGTERM), pytest.fail("it goes on")))


def test_several_workers_end_between_two_things_that_take_all_of_them():
    """A signal comes in the second step, in an evaluation, and in a call that no worker awaits."""
    for at, end in (("step", (2, 0)), ("evaluation", (2, 4)), ("alone", (2, 1))):
        peers, seen = alone(), []

        def stop(here, step, at=at):
            if (here, step) == (at, 2):
                signal.raise_signal(signal.SIGTERM)

        def evaluate(step, peers=peers, seen=seen, stop=stop):
            for batch in peers.between(range(9)):
                seen.append((step, batch))
                if batch == 3:
                    stop("evaluation", step)

        actions = [Action(2, lambda step, stop=stop: stop("alone", step)), Action(2, evaluate)]
        trainer = CountingTrainer(on_step=lambda step, stop=stop: stop("step", step))
        with pytest.raises(Interrupted) as error:
            train(trainer, iter(range(9)), 6, 1, lambda window: None, 1, actions, peers)
        assert error.value.signal_number == signal.SIGTERM
        assert (trainer.steps_taken, seen[-1]) == (2, end), at


@pytest.mark.parametrize("peers", [None, alone], ids=["one worker", "several"])
@pytest.mark.parametrize("at", [4, 6])
def test_resuming_does_first_what_was_not_done_of_the_actions(at, peers):
    seen = []
    actions = [
        Action(4, lambda step: seen.append(("a", step)), was_done=lambda step: False),
        Action(2, lambda step: seen.append(("b", step)), was_done=lambda step: True),
        Action(5, lambda step: seen.append(("c", step)), at_end=False, was_done=lambda step: False),
    ]
    trainer = CountingTrainer(steps_taken=at)
    train(trainer, iter(range(9)), 6, 1, lambda window: None, 3, actions, peers and peers())
    assert seen == ([("a", 4), ("c", 5), ("a", 6), ("b", 6)] if at == 4 else [("a", 6)])


def test_a_second_signal_is_for_the_handler_from_outside(monkeypatch):
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with stop_signals() as stop:
            signal.raise_signal(signal.SIGTERM)
            assert (stop.number, seen) == (signal.SIGTERM, [])
            signal.raise_signal(signal.SIGHUP)  # from the terminal and from who starts it
            assert (stop.number, seen) == (signal.SIGTERM, [])
            signal.raise_signal(signal.SIGTERM)
            assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_divergence_ends_it():
    trainer = CountingTrainer()

    def diverged(report):
        raise ValueError("diverged")

    trainer.update = SimpleNamespace(raise_if_diverged=diverged)
    with pytest.raises(ValueError, match="diverged"):
        run(trainer, 10)
    assert trainer.steps_taken == 1
