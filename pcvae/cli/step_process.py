"""Commands made of other commands: each step runs as the program that a user would start."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pcvae.cli import signals, streams
from pcvae.errors import Interrupted, StepFailed


def run_step(command: str, arguments: Sequence[str]) -> None:
    """Runs another command of pcvae in a process of its own, after printing its line.

    A process for each step frees all memory, the GPU's too, and makes a step the same run as the
    printed line typed by hand. Signals go on to the step, which saves its checkpoint; if this
    process is killed, so is the step.

    Args:
        command: name of a module in `pcvae.cli.commands`, such as ``train``.
        arguments: its arguments.

    Raises:
        StepFailed: the step failed; it has said why.
        Interrupted: a signal came.
    """
    arguments = [str(argument) for argument in arguments]
    print(f"$ pcvae-{command.replace('_', '-')} {shlex.join(arguments)}", flush=True)
    code = (
        f"import sys; from pcvae.cli.commands.{command} import main; sys.argv[0] = 'pcvae'; "
        "sys.exit(main())"
    )
    received = []

    def pass_on(number, _frame):
        received.append(number)
        # Ctrl-C at a terminal reaches the whole foreground group, the step included.
        if not (number == signal.SIGINT and sys.stdin is not None and sys.stdin.isatty()):
            process.send_signal(number)

    process = start_python(code, arguments)
    with signals.handled_by(pass_on):
        returned = process.wait()
    if received:
        raise Interrupted(received[0], "interrupted; the same command goes on from there")
    if returned not in (0, streams.OUTPUT_LOST):
        raise StepFailed(returned if returned > 0 else 128 - returned)


def start_python(code: str, arguments: Sequence[str]) -> subprocess.Popen:
    """Starts a Python process that finds this package and ends with this process."""
    package_parent = str(Path(__file__).resolve().parents[2])
    paths = [package_parent, os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    watch = f"from pcvae.cli import parent_watch; parent_watch.die_with({os.getpid()})\n"
    return subprocess.Popen([sys.executable, "-c", watch + code, *arguments], env=environment)
