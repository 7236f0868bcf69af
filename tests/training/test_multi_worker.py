"""Two real processes over loopback against one device."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pcvae.training.newest_checkpoint import newest, read_group

pytestmark = pytest.mark.slow

STEPS = 30
ATTEMPTS = 3  # another program may take a port between our asking for it and our using it

# A linear regression on a fixed global batch of 8; each worker takes its part. Step 25 is poisoned.
PROGRAM = """
import sys

from pcvae.training.strategy import is_chief, make_strategy

kind, directory, start, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
strategy = make_strategy(kind)

import numpy as np
import tensorflow as tf

from pcvae.training.checkpoints import Checkpoints
from pcvae.training.optimizers import AdamW
from pcvae.training.update import GradientUpdate

with strategy.scope():
    weight = tf.Variable(np.float32([[1.0], [-1.0], [0.5]]))
    bias = tf.Variable([0.0])
    update = GradientUpdate(AdamW(0.05, warmup_steps=5), clip_norm=3.0, ema_decay=0.9)
    update.build({"weight": weight, "bias": bias})
state = {"weights": {"weight": weight, "bias": bias}, **update.state}
checkpoints = Checkpoints(directory, state, chief=is_chief(strategy))
assert (checkpoints.restore_newest() or 0) == start

random = np.random.default_rng(0)
inputs = np.float32(random.normal(size=[8, 3]))
targets = np.float32(random.normal(size=[8, 1]))
resolver = strategy.cluster_resolver
worker = resolver.task_id if kind == "multi_worker" else 0
part = 8 // strategy.num_replicas_in_sync
inputs, targets = (x[worker * part : (worker + 1) * part] for x in (inputs, targets))


def one_update(poison):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(inputs @ weight + bias - targets))
        loss *= poison / strategy.num_replicas_in_sync
    return update.apply(tape.gradient(loss, [weight, bias]))


step_function = tf.function(lambda poison: strategy.run(one_update, args=(poison,)))
for step in range(start, steps):
    step_function(tf.constant(float("nan") if step == 25 else 1.0))
checkpoints.save(steps)
print("done", worker, is_chief(strategy))
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def run_workers(directory, start, steps):
    """Runs two workers to their end; returns exit codes and outputs."""
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    workers = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        workers.append(start_program("multi_worker", directory, start, steps, config))
    try:
        outputs = [worker.communicate(timeout=120)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    return [worker.returncode for worker in workers], outputs


def start_program(kind, directory, start, steps, config=None):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment["CUDA_VISIBLE_DEVICES"] = ""  # two processes on one GPU would fight for it
    environment.pop("TF_CONFIG", None)
    if config is not None:
        environment["TF_CONFIG"] = json.dumps(config)
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, kind, str(directory), str(start), str(steps)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_workers_equal_one_device_save_together_and_resume(tmp_path):
    single = start_program("one_device", tmp_path / "one", 0, STEPS)
    output, _ = single.communicate(timeout=120)
    assert single.returncode == 0, output

    for start, steps in ((0, 20), (20, STEPS)):
        for _ in range(ATTEMPTS):
            codes, outputs = run_workers(tmp_path / "two", start, steps)
            if codes == [0, 0] or "address" not in " ".join(outputs).lower():
                break
        assert codes == [0, 0], "\n".join(outputs)
        assert "done 0 True" in outputs[0] and "done 1 False" in outputs[1]
        assert newest(tmp_path / "two").endswith(f"ckpt-{steps}")

    for group in ("weights", "ema", "optimizer", "update"):
        expected = read_group(tmp_path / "one", group)
        for name, value in read_group(tmp_path / "two", group).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-5, err_msg=name)
    assert read_group(tmp_path / "two", "update")["skipped_total"] == 1
