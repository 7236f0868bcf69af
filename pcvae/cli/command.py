"""The frame of every command: flags, help, errors of one line, exit codes.

Exit codes: 0; 2 for what the user can fix, with one line ``pcvae: error: ...`` on standard error;
74 for work that is done, and whose standard output could not be written; 128 + n after signal n
(130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP, 141 for a pipe that nobody reads); 1 for an error
of the program.
"""

import importlib
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from types import ModuleType

from absl import flags

from pcvae.cli import early, environment, signals, streams
from pcvae.cli.docstrings import docstring_of
from pcvae.cli.parsing import parse_arguments, parse_flags
from pcvae.errors import Interrupted, StepFailed, UserError, words_of
from pcvae.files import full
from pcvae.signals import end_process

_HELP = ("--help", "-help", "-h", "--helpfull")


class Command:
    """A command: its help text, its flags, and what it does with their values.

    Args:
        name: the command's name, such as ``train``.
        help_text: what ``--help`` prints above the flags; None for the docstring of the module of
            ``run``, as ``python -OO`` gives it.
        define_flags: called with an ``absl.flags.FlagValues`` of the command's own, defines flags
            on it.
        run: called with the parsed flags. It imports what is slow to import, TensorFlow above all.
        takes_arguments: whether arguments without a name are meant; ``run`` then gets their list,
            too.
    """

    def __init__(
        self,
        name: str,
        help_text: str | None,
        define_flags: Callable,
        run: Callable,
        takes_arguments: bool = False,
    ) -> None:
        """Keeps the parts; flags are defined anew for each call of `main`."""
        self.name = name
        self._help_text = help_text
        self._define_flags = define_flags
        self._run = run
        self._takes_arguments = takes_arguments

    def main(self, argv: Sequence[str] | None = None, is_process: bool = False) -> int:
        """Runs the command and returns its exit code; raises nothing.

        Args:
            argv: the arguments without the program's name; by default those of the process.
            is_process: whether the process ends with the command, as it does by default.
        """
        is_process = is_process or argv is None
        environment.prepare(is_process)
        argv = list(sys.argv[1:] if argv is None else argv)
        received = []
        try:
            with signals.raised(received, is_process):
                try:
                    code = self._main(argv)
                except Exception as error:
                    # A signal may have become any error on its way through other people's code.
                    code = None if received else self._report(error, "--debug" in argv)
        except signals.Stopped:
            code = None
        if code is None:
            print(signals.LINE, file=sys.stderr, flush=True)
            code = 128 + received[0]
        if is_process and code > 128:
            end_process(code)
        return streams.exit_code(code)

    def _main(self, argv):
        """Runs the command and returns its exit code; raises what `main` has to report."""
        try:
            values = flags.FlagValues()
            self._define_flags(values)
            flags.DEFINE_bool(
                "debug", False, "Print the traceback of an error too.", flag_values=values
            )
            if any(argument in _HELP for argument in argv):
                print(self.help(values))
            else:
                if self._takes_arguments:
                    arguments = parse_arguments(values, argv)
                else:
                    arguments = (parse_flags(values, argv),)
                early.check_flags(values)
                self._run(*arguments)
            sys.stdout.flush()
            return 0
        except BrokenPipeError:
            # The reader of a pipe is gone: nothing is left to say, and nothing to flush at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        except KeyboardInterrupt:
            print(signals.LINE, file=sys.stderr)
            return 128 + signal.SIGINT
        except StepFailed as error:
            return error.exit_code
        except Interrupted as error:
            print(f"pcvae: {one_line(error)}", file=sys.stderr)
            return 128 + error.signal_number

    def help(self, values: flags.FlagValues) -> str:
        """Returns the help text: the command's own, then each flag with default and meaning."""
        text = self._help_text or docstring_of(self._run.__code__.co_filename)
        lines = [text.strip(), "", "Flags:"]
        for name in values:
            flag = values[name]
            default = "" if flag.default in (None, [], False) else f" (default: {flag.default})"
            lines.append(f"  --{name}{'' if flag.boolean else '=VALUE'}{default}")
            lines.append(f"      {' '.join(flag.help.split())}")
        if "gin_bindings" in values:
            lines += ["  --gin.NAME=VALUE", "      Sets a macro or a parameter. May repeat."]
        return "\n".join(lines)

    def _report(self, error, debug):
        if isinstance(error, UserError | OSError) or _is_resource_error(error):
            if debug:
                traceback.print_exception(error)
            print(f"pcvae: error: {one_line(error)}", file=sys.stderr)
            return 2
        traceback.print_exception(error)
        print(
            f"pcvae: {self.name} failed: this is an error of pcvae, not of its use; please report "
            "it with the lines above",
            file=sys.stderr,
        )
        return 1


def require_run(run_dir: str | None, flag: str = "run_dir") -> str:
    """Returns the run directory that a flag, or an argument without one, names, if a run is there.

    Raises:
        UserError: if the flag is missing or the directory holds no run.
    """
    if not run_dir:
        raise UserError(f"--{flag} is missing: the run directory of pcvae-train")
    named = f"--{flag}={run_dir}" if flag else run_dir
    if not os.path.isdir(run_dir):
        what = "this is a file" if os.path.exists(run_dir) else "there is no such directory"
        raise UserError(f"{named}: {what}, expected the directory of a run")
    if not os.path.isfile(os.path.join(run_dir, "model.json")):
        raise UserError(f"{named}: no run of pcvae-train: it holds no model.json")
    return run_dir


def require_place(name: str, place: str | None, what: str) -> str:
    """Returns a path, if the flag is given and something is there.

    Raises:
        UserError: it is missing.
    """
    if not place:
        raise UserError(f"--{name} is missing: {what}")
    if not os.path.exists(place):
        raise UserError(f"--{name}={place}: there is no such file or folder")
    return place


def require_output(output: str, suffixes: Sequence[str] = (".png", ".npz")) -> str:
    """Returns the path of an output file, if its suffix says what to write.

    Raises:
        UserError: for another suffix, a suffix without a name, a directory, or a place that cannot
            be written.
    """
    if os.path.splitext(output)[1].lower() not in suffixes:
        raise UserError(f"--output={output}: expected a file name in {' or '.join(suffixes)}")
    if os.path.isdir(output):
        raise UserError(f"--output={output}: this is a directory, expected a file name")
    early.check_file_place("output", output)
    return output


def import_runs() -> ModuleType:
    """Returns the module ``pcvae.runs``, importing it and TensorFlow.

    TensorFlow greets on standard error while it is imported, at any log level: that is dropped,
    unless the import fails or TF_CPP_MIN_LOG_LEVEL asks for more than errors.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2") < "2":
        return importlib.import_module("pcvae.runs")
    sys.stderr.flush()
    standard_error = os.dup(2)
    # An exception in the middle of TensorFlow's import could come out as anything.
    with signals.end_the_process(standard_error), tempfile.TemporaryFile() as greetings:
        os.dup2(greetings.fileno(), 2)
        try:
            runs = importlib.import_module("pcvae.runs")
        except BaseException:
            greetings.seek(0)
            os.write(standard_error, greetings.read())
            raise
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)
    return runs


def one_line(error: BaseException) -> str:
    """Returns the message of an error as one line, without what gin appends to it."""
    if isinstance(error, OSError) and error.strerror:
        names = [str(name) for name in (error.filename, error.filename2) if name]
        return ": ".join([*names, error.strerror]) + _remedy(error)
    message = words_of(error).partition(" In call to configurable")[0]
    message = re.sub(r"^\[Errno \d+\] ", "", message)
    return (message or type(error).__name__) + _remedy(error)


def _remedy(error):
    """Returns what to do about a full disk, where nobody has said it."""
    is_told = isinstance(error, UserError) or full(error) is None
    return "" if is_told else "; free some space and start again"


def _is_resource_error(error):
    """Says whether TensorFlow met a full disk, a missing permission or the end of memory."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        return isinstance(error, MemoryError)
    kinds = (tensorflow.errors.PermissionDeniedError, tensorflow.errors.ResourceExhaustedError)
    return isinstance(error, (MemoryError, *kinds))
