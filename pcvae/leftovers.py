"""Names of files and folders that are not finished, and the sweeping of what the killed left."""

import contextlib
import functools
import hashlib
import re
import shutil
import time
import uuid
from pathlib import Path

from pcvae import processes

# Names of earlier versions tell no process.
_UNFINISHED = re.compile(
    r"\.((?P<place>[0-9a-f]{8})-(?P<pid>\d+)-(?P<started>\d+)-)?[0-9a-f]{8}\.part"
)
# The first versions had a name for each kind of file; nobody else writes such beside ours.
_FIRST = re.compile(
    r"\..+-[0-9a-f]{8}\.part|(operative_)?config\.gin\.\d+\.tmp|[\w-]+\.(jsonl?|html)\.partial"
)
_ABANDONED_SECONDS = 24 * 3600.0


def unfinished(path: Path) -> Path:
    """Returns a hidden name of the same suffix beside a path, which tells whose it is."""
    place, pid, started = _own_mark()
    return path.with_name(f".{place}-{pid}-{started}-{uuid.uuid4().hex[:8]}.part{path.suffix}")


def is_unfinished(path: Path) -> bool:
    """Says whether a path has a name that `unfinished` gives."""
    return _UNFINISHED.match(path.name) is not None


@functools.cache
def sweep(folder: Path) -> None:
    """Removes temporary files whose process has ended from an absolute path; once in a process."""
    own_place, *_ = _own_mark()
    for path in folder.glob("*"):
        mark = _UNFINISHED.match(path.name)
        with contextlib.suppress(OSError):
            if mark is None and not _FIRST.fullmatch(path.name):
                continue
            if (
                mark is None or mark["place"] != own_place
            ):  # another machine, or this one before it started anew
                ended = time.time() - path.lstat().st_mtime > _ABANDONED_SECONDS
            else:
                started = processes.started(int(mark["pid"]))
                ended = started is None or (started or "0") != mark["started"]
            if ended and path.is_dir():
                shutil.rmtree(path)
            elif ended:
                path.unlink()


def _own_mark():
    """Returns what tells this process from all others: place, number, start."""
    here = processes.here()
    place = hashlib.sha256(f"{here['boot'] or here['host']} {here['processes']}".encode())
    return place.hexdigest()[:8], here["pid"], here["started"] or "0"
