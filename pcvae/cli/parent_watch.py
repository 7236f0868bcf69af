"""A step of a command ends with the command, however that ends."""

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_SECONDS = 0.5


def die_with(parent_pid: int) -> None:
    """Ends this process by SIGKILL when its parent has ended, by SIGKILL too.

    SIGKILL, since a step that goes on, if only to save its checkpoint, would write into the
    directory where the same command, started again, resumes.

    Args:
        parent_pid: process id of the parent, as the parent knows it.
    """
    if not _kernel_watches():
        threading.Thread(target=_poll, args=(parent_pid,), daemon=True).start()
    if os.getppid() != parent_pid:  # it ended before we watched
        _end()


def _kernel_watches():
    """Asks the Linux kernel for the signal; returns whether it will come."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0
    except (OSError, AttributeError):  # a C library without prctl
        return False


def _poll(parent_pid):
    while os.getppid() == parent_pid:
        time.sleep(_POLL_SECONDS)
    _end()


def _end():
    os.kill(os.getpid(), signal.SIGKILL)
