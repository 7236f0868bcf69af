"""How a run is spread over devices: one function makes the ``tf.distribute`` strategy."""

import contextlib
import os
from collections.abc import Sequence

import tensorflow as tf

from pcvae.checks import check_integer
from pcvae.errors import UserError
from pcvae.training.cluster import EXAMPLE, read_cluster
from pcvae.training.peers import Peers

KINDS = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


class MultiWorkerStrategy(tf.distribute.MultiWorkerMirroredStrategy):
    """TensorFlow's strategy of several machines, and the connections to the others.

    Args:
        peers: the `Peers` of this worker.
    """

    def __init__(self, peers: Peers) -> None:
        """Sets up TensorFlow's server at the address of this worker."""
        super().__init__()
        self.peers = peers


def peers_of(strategy: tf.distribute.Strategy) -> Peers | None:
    """Returns the other workers of a strategy; None if there are none."""
    return getattr(strategy, "peers", None)


def make_strategy(
    kind: str = "auto",
    devices: str | Sequence[str] | None = None,
    threads_per_operation: int | None = None,
) -> tf.distribute.Strategy:
    """Makes the strategy of a run.

    Multi-worker training has to be set up before TensorFlow runs its first operation, so this is
    among the first things that a program does.

    Args:
        kind: "one_device"; "mirrored", all GPUs of this machine; "multi_worker", the machines named
            in the environment variable TF_CONFIG; "tpu"; or "auto": multi-worker if TF_CONFIG names
            more than one worker, mirrored if this machine has more than one GPU, else one device.
        devices: names such as "GPU:0" for "one_device" (one of them) and "mirrored", or the name of
            the TPU for "tpu"; None takes what there is.
        threads_per_operation: into how many threads a CPU splits one operation, in a process that
            has not run any yet; None leaves it to TensorFlow, which takes all cores. Small models
            are faster by 1: their operations are over before threads have met.

    Returns:
        A ``tf.distribute.Strategy``.

    Raises:
        UserError: unknown kind, unknown device, no TF_CONFIG, or no TPU.
    """
    if kind not in KINDS:
        raise UserError(f"strategy: expected one of {', '.join(KINDS)}, got {kind!r}")
    if threads_per_operation is not None:
        count = check_integer("threads_per_operation", threads_per_operation, 1)
        with contextlib.suppress(RuntimeError):  # TensorFlow runs already
            tf.config.threading.set_intra_op_parallelism_threads(count)
    if isinstance(devices, str):
        devices = (devices,)
    if kind == "auto":
        kind = _automatic_kind(devices)
    if kind == "multi_worker":
        if devices:
            raise UserError("strategy: 'multi_worker' takes its devices from TF_CONFIG, not a list")
        return _multi_worker_strategy()
    if kind == "tpu":
        return _tpu_strategy(devices)
    devices = _known_devices(devices)
    if kind == "mirrored":
        return _mirrored_strategy(devices)
    if devices and len(devices) > 1:
        raise UserError(f"strategy: 'one_device' takes one device, got {', '.join(devices)}")
    default = "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"
    return tf.distribute.OneDeviceStrategy(devices[0] if devices else default)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process is the one that writes checkpoints, summaries and pictures."""
    resolver = getattr(strategy, "cluster_resolver", None)
    if resolver is None or resolver.task_type is None:
        return True
    cluster = resolver.cluster_spec().as_dict()
    if "chief" in cluster:
        return resolver.task_type == "chief"
    return resolver.task_type == "worker" and resolver.task_id == 0


def _automatic_kind(devices):
    if len(read_cluster().workers) > 1:
        return "multi_worker"
    count = len(devices) if devices else len(tf.config.list_logical_devices("GPU"))
    return "mirrored" if count > 1 else "one_device"


def _multi_worker_strategy():
    cluster = read_cluster()
    if cluster.own is None:
        raise UserError(
            "strategy: 'multi_worker' needs the environment variable TF_CONFIG with a 'cluster'"
            f" of workers and the 'task' of this process: {EXAMPLE}"
        )
    peers = Peers(cluster)
    try:
        with peers.watched():
            return MultiWorkerStrategy(peers)
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"strategy: TensorFlow cannot set up {cluster.own} of TF_CONFIG ({reason}): is it an "
            "address of this machine, and is the port free?"
        ) from error


def _known_devices(devices):
    """Checks names against the devices of this machine; returns them, or None for None."""
    if devices is None:
        return None
    known = [
        f"{device.device_type}:{device.name.rsplit(':', 1)[1]}"
        for device in tf.config.list_logical_devices()
    ]
    names = [str(name).upper().removeprefix("/").removeprefix("DEVICE:") for name in devices]
    for name in names:
        if name not in known:
            raise UserError(f"strategy: no device {name!r}; this machine has {', '.join(known)}")
    return names


def _mirrored_strategy(devices):
    # On CPUs TensorFlow takes collectives whose keys start again with every strategy, so that a
    # second strategy in a process fails with "Shape mismatch in the collective instance".
    on_cpus = devices and all(name.startswith("CPU") for name in devices)
    operations = tf.distribute.ReductionToOneDevice() if on_cpus else None
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=operations)


def _tpu_strategy(devices):
    name = devices[0] if devices else os.environ.get("TPU_NAME", "local")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        if name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise UserError(f"strategy: no TPU {name!r} is to be had; use 'auto' instead") from error
    return tf.distribute.TPUStrategy(resolver)
