"""Standard input, output and error of a command: there, whatever the caller did to them.

Who starts a program may close its descriptors, redirect them to a full disk, or have a terminal
that is ASCII or goes away. None of that is a reason for work to end; that nobody reads a pipe any
more is one.
"""

import io
import os
import sys

OUTPUT_LOST = 74  # EX_IOERR of sysexits.h
_NAMES = ("stdin", "stdout", "stderr")


def open_closed_descriptors() -> None:
    """Opens the null device in the place of descriptors 0, 1 and 2 that are closed.

    Otherwise the next file that is opened, a checkpoint perhaps, would get the number, and what
    libraries print with it.
    """
    for descriptor, name in enumerate(_NAMES):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
            os.set_inheritable(opened, True)
        if getattr(sys, name) is None:
            stream = open(descriptor, "r" if descriptor == 0 else "w", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def escape_what_cannot_be_written() -> None:
    """Lets a letter that an encoding lacks, or a byte of a path, be written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def outlast_failures() -> None:
    """Lets the work go on where nothing can be written any more, for a process of its own.

    What a full disk or a terminal that is gone does not take is dropped; `exit_code` tells of it. A
    pipe that nobody reads raises BrokenPipeError once, from standard output alone, and takes
    everything after that.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__") or not isinstance(stream, io.TextIOWrapper):
            continue  # somebody has put something else there
        stream.flush()
        raw = _Output(stream.fileno(), raises=name == "stdout")
        wrapper = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        setattr(sys, name, wrapper)


def exit_code(code: int) -> int:
    """Returns the exit code of a process whose work ended with a code, and says what was lost."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if code or not isinstance(raw, _Output):
        return code
    sys.stdout.flush()
    if raw.failure is None:
        return 0
    print(
        f"pcvae: error: standard output cannot be written: {raw.failure}; the work is done, what "
        "it printed is not whole",
        file=sys.stderr,
    )
    return OUTPUT_LOST


class _Output(io.FileIO):
    """A descriptor whose writes fail at most once; see `outlast_failures`."""

    def __init__(self, descriptor, raises):
        super().__init__(descriptor, "w", closefd=False)
        self._raises = raises
        self.failure = None  # why something was dropped

    def write(self, data):
        try:
            return super().write(data)
        except BrokenPipeError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            if self._raises:
                raise
        except OSError as error:
            self.failure = error.strerror
        return len(data)
