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
        zero = tf.constant(0.0)
        return {"loss": zero, "update": UpdateReport(*[zero] * len(UpdateReport._fields))}


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
    trainer = CountingTrainer()
    checkpoints = training.Checkpoints(tmp_path, {"g": {"count": trainer.count}})
    with pytest.raises(Interrupted, match="after step 3; checkpoint saved; the same") as error:
        train_resumably(
            trainer,
            training.make_strategy("one_device"),
            np.zeros((8, 4, 4, 3), np.uint8),
            checkpoints,
            directory=RunDirectory(tmp_path),
            seed=0,
            steps=10,
            batch_size=2,
            report=training.Action(1, report),
            actions=[],
            logs=[],
            what="",
        )
    assert error.value.signal_number == number
    assert training.newest_step(tmp_path) == 3
    assert training.read_group(tmp_path, "g") == {"count": 3}
