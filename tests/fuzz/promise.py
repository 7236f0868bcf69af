"""What a command promises, whatever it is given: it ends, in time, with 0 or with one line."""

import contextlib
import io
import resource
import signal
from pathlib import Path

from hypothesis import settings

from pcvae.cli.command import Command

MAX_SECONDS = 60
MAX_MORE_BYTES = 4 * 2**30
ERROR = "pcvae: error: "


class Hangs(BaseException):
    """A case is over its limit; no ``except Exception`` on the way keeps it."""


def cases(share):
    """Returns the settings of a test that tries a share of 50 cases, or of 500 in the long run."""
    return settings(max_examples=round(share * settings.default.max_examples))


def outcome(main, argv, folder, names=()):
    """Calls a command in this process; returns its line, or None where it ends well.

    Args:
        main: the command's.
        argv: its arguments.
        folder: what lies in it stays as it is where the command fails.
        names: one of them is named by the line; none for any.
    """
    before, peak, errors = contents(folder), _peak(), io.StringIO()
    with (
        _limited(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(errors),
    ):
        code = main(list(argv))
    told = f"{argv!r} ended with {code}:\n{errors.getvalue()}"
    lines = errors.getvalue().splitlines()
    assert "Traceback" not in errors.getvalue(), told
    assert _peak() - peak < MAX_MORE_BYTES, told
    if code == 0:
        return None
    assert code == 2, told
    assert [line.startswith(ERROR) for line in lines].count(True) == 1, told
    assert lines[-1].startswith(ERROR), told
    assert not names or any(name.lower() in lines[-1].lower() for name in names), told
    after = contents(folder)
    assert {path: after.get(path) for path in before} == before, told
    return lines[-1].removeprefix(ERROR)


def as_command(function):
    """Returns the ``main`` of a command that does nothing but call a function."""
    return Command("fuzzed", "Fuzzed.", lambda values: None, lambda values: function()).main


def contents(folder):
    """Returns {path: bytes} of the files in a folder."""
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@contextlib.contextmanager
def _limited():
    def stop(_number, _frame):
        raise Hangs

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(MAX_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _peak():
    """Returns the most memory that this process has had at once, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
