"""One worker of a run, for the tests of several: ``worker.py KIND FOLDER START STEPS``.

A linear regression on a fixed global batch of 12, of which each worker takes its part; step 25 is
poisoned. From step 20 on the workers also train each kind of model, one of them gets a signal, and
the last one is lost.
"""

import os
import signal
import sys
from pathlib import Path

from pcvae.training.strategy import is_chief, make_strategy, peers_of

if __name__ == "__main__":
    # Before anything makes TensorFlow start.
    STRATEGY = make_strategy("multi_worker")

import numpy as np
import tensorflow as tf

from pcvae import training
from pcvae.errors import Interrupted
from pcvae.training.checkpoints import Checkpoints
from pcvae.training.optimizers import AdamW
from pcvae.training.update import GradientUpdate

BATCH = 12
LOST = 2  # the worker
REMEDY = "what to do"


class Regression:
    """A trainer of the regression, in the current strategy."""

    def __init__(self, folder):
        self.strategy = tf.distribute.get_strategy()
        self.weights = {"weight": tf.Variable([[1.0], [-1.0], [0.5]]), "bias": tf.Variable([0.0])}
        self.update = GradientUpdate(AdamW(0.05, warmup_steps=5), clip_norm=3.0, ema_decay=0.9)
        self.update.build(self.weights)
        state = {"weights": self.weights, **self.update.state}
        self.checkpoints = Checkpoints(folder, state, chief=is_chief(self.strategy))
        self._step = tf.function(
            lambda inputs, poison: self.strategy.run(self._one_update, args=(inputs, poison))
        )

    @property
    def steps_taken(self):
        return int(self.update.step.numpy())

    def batches(self):
        """Yields (the part of this worker, the poison) of each step."""
        random = np.random.default_rng(0)
        inputs = np.float32(random.normal(size=[BATCH, 4]))  # the last column is the target
        resolver = self.strategy.cluster_resolver
        worker = resolver.task_id if resolver else 0
        part = BATCH // self.strategy.num_replicas_in_sync
        own = tf.constant(inputs[worker * part : (worker + 1) * part])
        while True:
            yield own, tf.constant(np.nan if self.steps_taken == 25 else 1.0, tf.float32)

    def step(self, batch):
        report = self.strategy.experimental_local_results(self._step(*batch))[0]
        return {"loss": tf.constant(0.0), "update": report}

    def train(self, steps, report=lambda window: None):
        training.train(self, self.batches(), steps, BATCH, report, 1, (), peers_of(self.strategy))

    def _one_update(self, batch, poison):
        weight, bias = self.weights.values()
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(batch[:, :3] @ weight + bias - batch[:, 3:]))
            loss *= poison / self.strategy.num_replicas_in_sync
        return self.update.apply(tape.gradient(loss, [weight, bias]))


def _main(folder, start, steps):
    with STRATEGY.scope():
        regression = Regression(folder / "checkpoints")
    assert (regression.checkpoints.restore_newest() or 0) == start
    regression.train(steps)
    regression.checkpoints.save(steps)
    worker = STRATEGY.cluster_resolver.task_id
    print("done", worker, is_chief(STRATEGY), flush=True)
    from tests.op_by_op import op_by_op
    from tests.training import few_steps

    with op_by_op():
        state = few_steps.train_each(STRATEGY)
    if is_chief(STRATEGY):
        np.savez(folder / "few_steps.npz", **state)

    def signal_to_one(window):
        if worker == 1 and window.step == steps + 3:
            signal.raise_signal(signal.SIGTERM)

    try:
        regression.train(steps + 100, signal_to_one)
    except Interrupted as error:
        print("stopped", regression.steps_taken, error.signal_number, flush=True)
    with STRATEGY.peers.watched(lambda: REMEDY):
        if worker == LOST:
            os.kill(os.getpid(), signal.SIGKILL)
        regression.train(steps + 100)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
