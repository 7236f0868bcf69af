"""Who stops a training finds its state in a checkpoint."""

import signal
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from pcvae import training
from pcvae.errors import Interrupted
from pcvae.runs.resumable_training import train_resumably
from pcvae.runs.run_directory import RunDirectory
from pcvae.training.update import UpdateReport


class CountingTrainer:
    """Steps that count themselves in a variable."""

    def __init__(self):
        self.count = tf.Variable(0)
        self.update = SimpleNamespace(raise_if_diverged=lambda report: None)

    @property
    def steps_taken(self):
        return int(self.count.numpy())

    def step(self, batch):
        self.count.assign_add(1)
        zero, count = tf.constant(0.0), tf.cast(self.count, tf.float32)
        metrics = {"loss": tf.sqrt(count), "rates": tf.stack([count, 1.0 / count])}
        return {**metrics, "update": UpdateReport(*[zero] * len(UpdateReport._fields))}


def hang_up(window):
    if window.step == 3:
        signal.raise_signal(signal.SIGHUP)


def find_no_reader(window):
    if window.step == 3:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize(
    ("report", "number"), [(hang_up, signal.SIGHUP), (find_no_reader, signal.SIGPIPE)]
)
def test_a_hang_up_and_a_broken_pipe_save_a_checkpoint(tmp_path, report, number):
    with pytest.raises(Interrupted, match="after step 3; checkpoint saved; the same") as error:
        resume(tmp_path, report)
    assert error.value.signal_number == number
    assert training.newest_step(tmp_path) == 3
    assert training.read_group(tmp_path, "g") == {"count": 3}


def resume(folder, report, every_steps=1, checkpoint_every_steps=100):
    """Trains up to step 10, from the newest checkpoint on."""
    trainer = CountingTrainer()
    checkpoints = training.Checkpoints(folder, {"g": {"count": trainer.count}}, max_to_keep=1)
    checkpoints.restore_newest()
    train_resumably(
        trainer,
        training.make_strategy("one_device"),
        np.zeros((8, 4, 4, 3), np.uint8),
        checkpoints,
        directory=RunDirectory(folder),
        seed=0,
        steps=10,
        batch_size=2,
        report=training.Action(every_steps, report),
        actions=[training.Action(checkpoint_every_steps, checkpoints.save)],
        logs=[],
        what="",
    )


class Killed(BaseException):
    """Ends a process in the middle of anything."""


@pytest.mark.parametrize("stop", [lambda: signal.raise_signal(signal.SIGTERM), None])
@pytest.mark.parametrize("stopped_at", [1, 2, 6, 7, 8, 9])
def test_the_log_of_a_run_that_was_stopped_is_that_of_one_that_was_not(tmp_path, stopped_at, stop):
    def log_of(folder, stopped_at=None):
        lines = {}

        def report(window):
            if window.is_due:
                assert window.step not in lines
                values = [window.metrics["loss"], *window.metrics["rates"]]
                lines[window.step] = np.array(values).tobytes()

        real_step = CountingTrainer.step

        def step(self, batch):
            if stopped_at is not None and self.steps_taken == stopped_at:
                if stop is None:
                    raise Killed
                stop()
            return real_step(self, batch)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CountingTrainer, "step", step)
            if stopped_at is not None:
                with pytest.raises((Killed, Interrupted)):
                    resume(folder, report, 4, 3)
                kept = training.newest_step(folder) or 0
                lines = {step: line for step, line in lines.items() if step <= kept}
            patch.setattr(CountingTrainer, "step", real_step)
            resume(folder, report, 4, 3)
        return lines

    whole = log_of(tmp_path / "whole")
    assert list(whole) == [1, 4, 8, 10]
    assert log_of(tmp_path / "stopped", stopped_at) == whole
    assert len(list((tmp_path / "stopped").glob("*.history.npz"))) == 0  # one for one checkpoint
