"""Who a process is: told apart from others of its number, before and after, here and elsewhere."""

import os
import socket
from pathlib import Path
from typing import Any


def here() -> dict[str, Any]:
    """Returns where this process runs: machine, start of the machine, numbering of processes."""
    return {
        "host": socket.gethostname(),
        "boot": _read("/proc/sys/kernel/random/boot_id"),
        "processes": _link("/proc/self/ns/pid"),
        "pid": os.getpid(),
        "started": started(os.getpid()),
    }


def started(pid: Any) -> str | None:
    """Returns what tells a process from others of its number, or None if there is none."""
    status = _read(f"/proc/{pid}/stat")
    if status is not None:
        fields = status.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]  # in ticks since the machine's start
    if os.path.exists("/proc/self/stat"):
        return None
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        pass
    except (OSError, ValueError, TypeError, OverflowError):
        return None
    return ""


def _read(path):
    try:
        return Path(path).read_text("utf-8", "replace").strip()
    except OSError:
        return None


def _link(path):
    try:
        return os.readlink(path)
    except OSError:
        return None
