"""Locks of folders: one process at a time, told who holds it, taken over where that one is gone.

The lock is a file ``.lock`` that its holder has locked in the kernel (``flock``), which lets go
when the holder ends, however it does. A record in it says who that is. An orderly end removes it.
"""

import contextlib
import datetime
import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from pcvae import processes
from pcvae.errors import UserError
from pcvae.files import FREE_SPACE, printable, told_when_full
from pcvae.progress import report

try:
    import fcntl
except ImportError:  # no POSIX: the record alone has to do
    fcntl = None

FILE_NAME = ".lock"
_PATIENCE_SECONDS = 0.5  # for one that only looks, or has not written its record yet
_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_MAX_BYTES = 4096
_TRIES = 100
_SECONDS_BETWEEN_TRIES = 0.2


class Held(UserError):
    """Somebody else holds the lock, or may hold it; the message says who.

    Args:
        message: the line.
        holder: the record of the one who holds it: ``host``, ``pid``, ``since``, ``what``, ...;
            None where there is none.
        runs: whether the one who holds it is known to run.
    """

    def __init__(self, message: str, holder: dict | None = None, runs: bool = True) -> None:
        """Keeps the record."""
        super().__init__(message)
        self.holder = holder
        self.runs = runs


class Lock:
    """A lock that this process holds; `hold` makes it.

    Args:
        folder: what is locked.
        what: who holds it, in words: ``training``.
    """

    def __init__(self, folder: Path, what: str) -> None:
        """Takes it; raises `Held` as `hold` does, and OSError."""
        path, name = folder / FILE_NAME, printable(folder)
        self._path, self._name, self._what = path, name, what
        self._file = _take(path, name, what)

    def check(self) -> None:
        """Raises UserError if what is locked has gone away, or to somebody else, since.

        Where only the lock's file was removed, the lock is taken anew.
        """
        if _is_open_at(self._file, self._path):
            return
        if not self._path.parent.is_dir():
            raise UserError(
                f"{self._name} is gone: it was deleted or moved while its {self._what} went on, "
                "which ends here"
            )
        file = _take(self._path, self._name, self._what)
        os.close(self._file)
        self._file = file

    def release(self) -> None:
        """Lets go, and removes the file unless it is another's by now."""
        with contextlib.suppress(OSError):
            if _is_open_at(self._file, self._path):
                os.ftruncate(self._file, 0)  # first: who cannot remove the file leaves no record
                self._path.unlink()
        os.close(self._file)


@contextlib.contextmanager
def hold(folder: str | os.PathLike, what: str, remedy: str = "") -> Iterator[Lock]:
    """Holds the lock of a folder in the block. It is made, and goes again if nothing came into it.

    Args:
        folder: what is locked.
        what: who holds it, in words: ``training``.
        remedy: what helps where the file of the lock cannot be written.

    Raises:
        Held: another process holds it, or may hold it where that cannot be found out.
        UserError: the file of the lock cannot be written.
    """
    folder = Path(folder)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    lock = None
    try:
        try:
            with told_when_full(folder / FILE_NAME, remedy or FREE_SPACE):
                lock = _made_lock(folder, what)
        except OSError as error:
            raise UserError(
                f"{printable(folder)}: its lock {FILE_NAME} cannot be made: {error.strerror}"
                f"{remedy and '; '}{remedy}"
            ) from error
        yield lock
    finally:
        if lock is not None:
            lock.release()
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


@contextlib.contextmanager
def hold_in_turn(folder: str | os.PathLike, what: str, remedy: str = "") -> Iterator[Lock]:
    """As `hold`, but waits, with a line, while another process that runs holds the lock."""
    with contextlib.ExitStack() as stack:
        lock, told = None, None
        while lock is None:
            try:
                lock = stack.enter_context(hold(folder, what, remedy))
            except Held as held:
                if not held.runs:
                    raise
                if told != (told := _described(held.holder)):
                    report(f"{printable(folder)}: waiting for {told}")
                time.sleep(_SECONDS_BETWEEN_TRIES)
        yield lock


def check_free(folder: str | os.PathLike) -> None:
    """Raises `Held` where `hold` would; an early look that holds and writes nothing."""
    path = Path(folder, FILE_NAME)
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_RDONLY)
        try:
            _judge(file, _locked(file), path, printable(folder), say=False)
        finally:
            os.close(file)


def _made_lock(folder, what):
    """Makes a folder and takes its lock."""
    for _ in range(_TRIES):
        folder.mkdir(parents=True, exist_ok=True)
        # One that ends may have taken the folder, which it had made, away.
        with contextlib.suppress(FileNotFoundError):
            return Lock(folder, what)
    return Lock(folder, what)


def _take(path, name, what):
    """Returns the descriptor of the file, locked and with the record of this process in it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _judge(file, _locked(file), path, name)
            if _is_open_at(file, path):  # whoever had it may have removed it before letting go
                here = {**processes.here(), "file": os.fstat(file).st_ino}
                record = {**here, "since": _now(), "what": what}
                os.ftruncate(file, 0)
                try:
                    os.pwrite(file, json.dumps(record).encode(), 0)
                except OSError:
                    path.unlink(missing_ok=True)
                    raise
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _locked(file):
    """Locks a file: True, False where another has it, None where the file system cannot."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno not in _BUSY:
                return None
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return None


def _judge(file, locked, path, name, say=True):
    """Raises `Held` unless the lock is free, or what its record names is known to have ended."""
    record, here = _record(file), processes.here()
    holder = _described(record)
    if record is None:
        if locked is False:
            raise Held(f"{name} is in use by {holder}")
        return
    same_kernel = (record.get("boot") or record.get("host")) == (here["boot"] or here["host"])
    same_processes = same_kernel and record.get("processes") == here["processes"]
    alive = processes.started(record.get("pid")) if same_processes else None
    if locked is False or (alive is not None and alive == record.get("started")):
        raise Held(
            f"{name} is in use by another process: {holder}; wait for its end, or use another "
            "directory",
            record,
        )
    if same_processes or (same_kernel and locked):
        why = "has ended without letting go"
    elif record.get("host") == here["host"]:
        why = "has ended: the machine was started anew since"
    else:
        raise Held(
            f"{name} was left locked by another process: {holder}; from {here['host']} it cannot "
            f"be seen whether it still runs: look on {record.get('host')}, and only if it has "
            f"ended, remove {printable(path)} and start again",
            record,
            runs=False,
        )
    if say:
        report(f"{name}: {holder} {why}; its lock is taken over")


def _described(record):
    """Returns who holds a lock, in words."""
    if not record:
        return "another process, which has left no name"
    place = f"pid {record.get('pid')} on {record.get('host')}, since {record.get('since')}"
    return f"{record.get('what')} ({place})"


def _record(file):
    """Returns the record in a file; None if there is none, or it came with a copy of the folder."""
    try:
        record = json.loads(os.pread(file, _MAX_BYTES, 0))
        return record if record["file"] == os.fstat(file).st_ino else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _is_open_at(file, path):
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except OSError:
        return False


def _now():
    return datetime.datetime.now().astimezone().isoformat(" ", "seconds")
