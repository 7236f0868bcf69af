"""Real processes over loopback against one device, and what becomes of them where one is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pcvae import training
from pcvae.training.newest_checkpoint import newest, read_group
from tests.training import few_steps, worker

pytestmark = pytest.mark.slow

STEPS = 30
ATTEMPTS = 3  # another program may take a port between our asking for it and our using it
ROOT = Path(__file__).parents[2]


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def run_workers(count, folder, start, steps):
    """Runs workers to their end; returns their addresses, exit codes and outputs."""
    for _ in range(ATTEMPTS):
        addresses = [f"localhost:{port}" for port in free_ports(count)]
        workers = [start_worker(addresses, index, folder, start, steps) for index in range(count)]
        try:
            outputs = [worker.communicate(timeout=600)[0] for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
        if "cannot be taken" not in " ".join(outputs):
            break
    return addresses, [worker.returncode for worker in workers], outputs


def start_worker(addresses, index, folder, start, steps):
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": json.dumps(config)}
    environment["CUDA_VISIBLE_DEVICES"] = ""  # several processes on one GPU would fight for it
    return subprocess.Popen(
        [sys.executable, worker.__file__, str(folder), str(start), str(steps)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_workers_equal_one_device_resume_in_another_number_stop_together_and_miss_a_lost_one(
    tmp_path, eagerly
):
    one, folder = training.make_strategy("one_device"), tmp_path / "several"
    for place, steps in ((tmp_path / "one", STEPS), (folder / "checkpoints", 20)):
        with one.scope():
            regression = worker.Regression(place)
        regression.train(steps)
        regression.checkpoints.save(steps)

    addresses, codes, outputs = run_workers(3, folder, 20, STEPS)
    for index, output in enumerate(outputs):
        assert f"done {index} {index == 0}" in output
        # The worker with the signal may have found the others within the next step.
        assert f"stopped {STEPS + 4} {int(signal.SIGTERM)}" in output, output
    assert codes == [2, 2, -signal.SIGKILL], "\n".join(outputs)
    for output in outputs[: worker.LOST]:
        last = output.splitlines()[-1]
        assert last.startswith(f"pcvae: error: worker {worker.LOST} ({addresses[-1]}) is lost: ")
        assert last.endswith(worker.REMEDY)
        assert output.count("error") == 1 and "{{" not in output

    assert newest(folder / "checkpoints").endswith(f"ckpt-{STEPS}")
    for group in ("weights", "ema", "optimizer", "update"):
        expected = read_group(tmp_path / "one", group)
        for name, value in read_group(folder / "checkpoints", group).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-5, err_msg=name)
    assert read_group(folder / "checkpoints", "update")["skipped_total"] == 1

    with np.load(folder / "few_steps.npz") as state:
        few_steps.check_equal(dict(state), few_steps.train_each(one))
