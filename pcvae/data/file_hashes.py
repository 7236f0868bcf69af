"""Hashes of files, which are read again only when they may have changed.

Names, sizes and times of files lie: archives, copies and layers of containers leave equal ones on
different contents. So what a file holds is known by the SHA-256 of all its bytes. That is
remembered in an index, beside the stamp of the file: size, time of change of the content, time of
change of the file's entry, and its number in the file system. The third of these cannot be set by
programs, only by the clock. While the stamp stays, the bytes are not read.

A file whose entry changed less than `SETTLED_SECONDS` before it was read is not remembered, since
another change within one tick of the clock would leave the same stamp. What is not noticed: bytes
that change below the file system, and a clock that is set back to hide a change.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pcvae.errors import UserError
from pcvae.files import printable, write_text
from pcvae.progress import report, with_progress

SETTLED_SECONDS = 2.0  # the coarsest clock of a file system, FAT's
BYTES_WITHOUT_PROGRESS = 2**30
_FILES_PER_TASK = 64


class FileHashes:
    """SHA-256 of files by name, from an index or from their bytes.

    Args:
        index: the JSON file that remembers them. It may be missing, damaged, or in a folder that
            cannot be written: then bytes are read more often.
    """

    def __init__(self, index: Path) -> None:
        self._index = Path(index)
        self._stamps: dict[str | os.PathLike, list[int] | None] = {}

    def of(self, files: Mapping[str, str | os.PathLike], what: str) -> dict[str, str | None]:
        """Returns the SHA-256 of every file by name: hexadecimal digits, or None if unreadable.

        Args:
            files: a dict from name to path.
            what: whose files they are, for the lines of progress.
        """
        known = self._read_index()
        hashes: dict[str, str | None] = {}
        stamps = {name: _stamp(path) for name, path in files.items()}
        for name, stamp in stamps.items():
            entry = known.get(name)
            if stamp and isinstance(entry, list) and len(entry) == 2 and entry[0] == stamp:
                hashes[name] = entry[1]
        unknown = [name for name in files if name not in hashes]
        settled = time.time_ns() - int(SETTLED_SECONDS * 1e9)
        size = sum(stamp[0] for name in unknown if (stamp := stamps[name]))
        read: Iterable = _hash_in_threads(unknown, files)
        if size > BYTES_WITHOUT_PROGRESS:
            report(f"{what}: {size / 1e9:,.1f} GB are read to see whether they have changed")
            read = with_progress(read, len(unknown), f"{what}: reading files")
        hashes.update(read)
        self._stamps = {files[name]: stamp for name, stamp in stamps.items()}
        if unknown:
            kept = {name: [stamp, hashes[name]] for name, stamp in stamps.items()}
            settled_ones = {n: e for n, e in kept.items() if e[1] and e[0][2] < settled}
            if settled_ones != known:
                self._write_index(settled_ones)
        return {name: hashes[name] for name in files}

    def check_unchanged(self) -> None:
        """Raises UserError if a file has changed since its hash was returned."""
        for path, stamp in self._stamps.items():
            if _stamp(path) != stamp:
                raise UserError(
                    f"{printable(path)} has changed while it was read: start again when nothing "
                    "writes there"
                )

    def _read_index(self):
        try:
            known = json.loads(self._index.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _write_index(self, entries):
        # It only saves time: without room for it, the files are read again.
        with contextlib.suppress(OSError, UserError):
            write_text(json.dumps(entries), self._index)


def _hash_in_threads(names, files) -> Iterator[tuple[str, str | None]]:
    """Yields (name, SHA-256 or None); files are read and hashed outside Python's lock."""
    tasks = [names[i : i + _FILES_PER_TASK] for i in range(0, len(names), _FILES_PER_TASK)]
    if not tasks:
        return

    def hash_some(some):
        return [(name, _sha256(files[name])) for name in some]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for pairs in pool.map(hash_some, tasks):
            yield from pairs


def _sha256(path):
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _stamp(path):
    with contextlib.suppress(OSError):
        status = os.stat(path)
        return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    return None
