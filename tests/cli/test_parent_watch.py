"""A step ends with the command that started it, however that ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STEP = """
{before}
import time
print("ready", flush=True)
time.sleep(600)
"""
COMMAND = """
from pcvae.cli import step_process
step_process.start_python({step!r}, []).wait()
"""
# What a step does where the kernel does not send the signal.
POLLING = """
import ctypes, os
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
parent_watch._kernel_watches = lambda: False
parent_watch.die_with(os.getppid())
"""


@pytest.mark.parametrize("before", ["", POLLING], ids=["kernel", "polling"])
def test_a_step_dies_with_a_command_that_is_killed(before):
    """Both hold the pipe: that it ends says that the step is gone, too."""
    program = COMMAND.format(step=STEP.format(before=before))
    command = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)
    assert command.stdout.readline() == b"ready\n"
    command.send_signal(signal.SIGKILL)
    assert command.communicate(timeout=30)[0] == b""


def test_a_step_that_comes_too_late_ends_at_once():
    program = "from pcvae.cli import parent_watch; parent_watch.die_with(1 << 22); print('alive')"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, b"")
