"""The machines of a multi-worker run, as the environment variable TF_CONFIG names them.

TensorFlow reads the variable, too, and answers what is wrong in it with errors of its own. So it is
checked here first.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pcvae.errors import UserError

VARIABLE = "TF_CONFIG"
EXAMPLE = (
    '{"cluster": {"worker": ["host0:port", "host1:port"]}, "task": {"type": "worker", "index": 0}}'
)
_JOBS = ("chief", "worker")  # what trains
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})")
_SHOWN = 200


class Cluster(NamedTuple):
    """Who takes part in a run."""

    workers: tuple[str, ...]  # their addresses, the chief's first
    own: str | None = None  # the address of this process; None where no task is named
    has_chief: bool = False  # as a job of its own

    def name(self, index: int) -> str:
        """Returns what TF_CONFIG calls one of the workers: ``worker 1``."""
        if self.has_chief and index == 0:
            return "chief 0"
        return f"worker {index - self.has_chief}"

    def names(self, indices: Iterable[int]) -> str:
        """Returns what some of the workers are called, with their addresses."""
        return ", ".join(f"{self.name(index)} ({self.workers[index]})" for index in indices)


def read_cluster() -> Cluster:
    """Returns the cluster that TF_CONFIG names; one without workers if it is not set.

    Raises:
        UserError: it is not what TensorFlow can use.
    """
    text = os.environ.get(VARIABLE, "")
    if not text.strip():
        return Cluster(())
    try:
        return _cluster(json.loads(text))
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, _Fault) else "it is no JSON"
        text = " ".join(text.split())
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        raise UserError(f"{VARIABLE}: {reason}; expected {EXAMPLE}, got {shown}") from error


class _Fault(ValueError):
    """What is wrong with the content."""


def _cluster(config: Any) -> Cluster:
    if not isinstance(config, dict):
        raise _Fault("it is no JSON object")
    jobs = {} if config.get("cluster") is None else config["cluster"]
    if not isinstance(jobs, dict):
        raise _Fault("'cluster' is no JSON object of jobs")
    if config.get("task") and not jobs:
        raise _Fault("'cluster' is missing")
    if config.get("rpc_layer") not in (None, "grpc"):
        raise _Fault(f"'rpc_layer' is {config['rpc_layer']!r}, not 'grpc'")
    addresses = {job: _addresses(job, tasks) for job, tasks in jobs.items()}
    if len(addresses.get("chief", ())) > 1:
        raise _Fault("there is more than one chief")
    has_chief = bool(addresses.get("chief"))
    workers = tuple(address for job in _JOBS for address in addresses.get(job, ()))
    everybody = [address for job in addresses.values() for address in job]
    twice = sorted({address for address in everybody if everybody.count(address) > 1})
    if twice:
        raise _Fault(f"{twice[0]} stands twice in 'cluster'")
    if config.get("task") or len(workers) > 1:
        return Cluster(workers, _own_address(config.get("task"), addresses), has_chief)
    return Cluster(workers, None, has_chief)


def _addresses(job: str, tasks: Any) -> list[str]:
    """Returns the addresses of a job, which come as a list or by index."""
    if isinstance(tasks, dict):
        if sorted(tasks) != sorted(map(str, range(len(tasks)))):
            raise _Fault(f"the indices of {job!r} in 'cluster' are not 0 to {len(tasks) - 1}")
        tasks = [tasks[str(index)] for index in range(len(tasks))]
    if not isinstance(tasks, list):
        raise _Fault(f"{job!r} in 'cluster' is no list of addresses")
    for address in tasks:
        match = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if match is None or not 0 < int(match[2]) < 2**16 or not _is_host(match[1]):
            raise _Fault(f"{address!r} of {job!r} in 'cluster' is no address host:port")
    return tasks


def _is_host(name: str) -> bool:
    try:
        return bool(name.encode("idna"))
    except UnicodeError:
        return False


def _own_address(task: Any, addresses: Mapping[str, list[str]]) -> str:
    if not isinstance(task, dict):
        raise _Fault("'task' is missing" if task is None else "'task' is no JSON object")
    missing = [name for name in ("type", "index") if task.get(name) is None]
    if missing:
        raise _Fault(f"'task' has no {' and no '.join(map(repr, missing))}")
    kind, index = task["type"], task["index"]
    known = [job for job in _JOBS if addresses.get(job)]
    if kind not in known:
        raise _Fault(f"the type of 'task' is {kind!r}, not one of those in 'cluster' that train")
    # Who starts the processes often writes the index as a text.
    if isinstance(index, bool) or not re.fullmatch("[0-9]{1,9}", str(index)):
        raise _Fault(f"the index of 'task' is {index!r}, no whole number of at least 0")
    if int(index) >= len(addresses[kind]):
        count = len(addresses[kind])
        raise _Fault(f"the index of 'task' is {index}, and {kind!r} has 0 to {count - 1}")
    return addresses[kind][int(index)]
