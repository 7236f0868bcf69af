"""How much memory this process may take."""

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def memory_limit_bytes(groups: Path = _GROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Returns the memory of this machine, or the limit of the container or shell if it is lower.

    Args:
        groups: where the control groups of Linux are mounted.
        own: the file that says in which of them this process is.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits(groups, own)]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)  # `ulimit -v`
    return min(limits if soft == resource.RLIM_INFINITY else [*limits, soft])


def _limits(groups: Path, own: Path) -> Iterator[int]:
    """Yields the limits of the process' control groups, of version 2 and of version 1."""
    text = ""
    with contextlib.suppress(OSError):
        text = own.read_text()
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        version_2 = controllers == ""
        if not version_2 and "memory" not in controllers.split(","):
            continue
        root = groups if version_2 else groups / "memory"
        # In a container the path may be that of the host: then the limit stands at the root.
        folders = [root / path.lstrip("/"), *(root / path.lstrip("/")).parents]
        for folder in folders:
            if folder == groups.parent:
                break
            name = "memory.max" if version_2 else "memory.limit_in_bytes"
            with contextlib.suppress(OSError, ValueError):  # not there, or "max"
                yield int((folder / name).read_text())
