import json
import subprocess
import sys

import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.training.strategy import is_chief, make_strategy


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)


def test_one_device_places_variables_there():
    strategy = make_strategy("one_device", devices="cpu:1")
    with strategy.scope():
        variable = tf.Variable(1.0)
    assert strategy.num_replicas_in_sync == 1 and variable.device.endswith("CPU:1")


@pytest.mark.slow
def test_threads_of_an_operation_are_set_in_a_process_that_has_run_none():
    program = """
from pcvae import training
import tensorflow as tf
for count in (3, 5):  # the second time TensorFlow runs
    training.make_strategy(threads_per_operation=count)
    tf.zeros([]).numpy()
    print(tf.config.threading.get_intra_op_parallelism_threads())
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.split() == ["3", "3"], run.stderr
    with pytest.raises(UserError, match="threads_per_operation: .*at least 1, got 0"):
        make_strategy(threads_per_operation=0)


def test_mirrored_takes_the_devices_given():
    strategy = make_strategy("mirrored", devices=("/cpu:0", "CPU:1"))
    assert strategy.num_replicas_in_sync == 2
    assert is_chief(strategy)


def test_auto_is_one_replica_without_gpus_and_mirrored_for_two_devices():
    if len(tf.config.list_logical_devices("GPU")) < 2:
        assert make_strategy().num_replicas_in_sync == 1
    assert make_strategy("auto", ("CPU:0", "CPU:1")).num_replicas_in_sync == 2


def test_auto_with_one_worker_stays_on_this_machine(monkeypatch):
    config = {"cluster": {"worker": ["localhost:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert isinstance(make_strategy("auto", ("CPU:0",)), tf.distribute.OneDeviceStrategy)


@pytest.mark.parametrize(
    "kind, devices, word",
    [
        ("many", None, "one_device"),
        ("multi_worker", None, "TF_CONFIG"),
        ("multi_worker", ("CPU:0",), "TF_CONFIG"),
        ("mirrored", ("CPU:0", "CPU:7"), "CPU:7"),
        ("one_device", ("CPU:0", "CPU:1"), "one device"),
        ("tpu", None, "no TPU"),
    ],
)
def test_what_cannot_be_had_is_one_line(kind, devices, word):
    with pytest.raises(UserError, match=word) as error:
        make_strategy(kind, devices)
    assert "\n" not in str(error.value)
