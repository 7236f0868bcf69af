"""What every test shares: four logical CPUs, a cache of its own, and equal seeds."""

import gc
import os
import random
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# One thread for an operation, here and in processes that tests start: operations are small, and two
# test processes share the cores.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import pytest

# Tests hang up processes, which take over from this one that `nohup` has hang-ups ignored.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection(session):
    """Readies the processes that run tests; the one that hands them out needs no TensorFlow."""
    if not hasattr(session.config, "workerinput") and session.config.getoption("dist") != "no":
        return
    import tensorflow as tf

    # Before TensorFlow initialises: four devices, so that mirrored training runs without a GPU.
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 4
    )
    tf.random.set_seed(0)
    # Tracing makes many objects that stay: looking through them at each thousand takes a tenth of
    # it.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_collection_modifyitems(items):
    """Files of slow tests come first: at the end, short ones keep both processes busy alike."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PCVAE_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _fresh_state():
    import gin
    import numpy as np

    # The seeds of Keras' initialisers come from `random`. TensorFlow's own is set once: setting it
    # throws all of its kernels away, and making them anew takes longer than most tests.
    random.seed(0)
    np.random.seed(0)
    gin.clear_config()


def _run_eagerly():
    from tests.op_by_op import op_by_op

    with op_by_op():
        yield


# The second one also holds for what a module makes once for all its tests.
eagerly = pytest.fixture(_run_eagerly, name="eagerly")
module_eagerly = pytest.fixture(_run_eagerly, scope="module", name="module_eagerly")


@pytest.fixture(scope="module")
def few_pictures():
    """Runs draw their samples at one temperature: for tests whose promise is another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pcvae.runs.run_pictures.SAMPLE_TEMPERATURES", (1.0,))
        yield
