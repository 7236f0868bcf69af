"""The frame: help, exit codes, errors of one line, no TensorFlow before the flags are parsed."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import tensorflow as tf
from absl import flags

from pcvae.cli import command, shared_flags
from pcvae.errors import Interrupted, UserError

ROOT = Path(__file__).parents[2]
COMMANDS = ("train", "evaluate", "sample", "reconstruct", "describe")


def _command(run, define=lambda values: None):
    def define_flags(values):
        flags.DEFINE_integer("count", 3, "How many.", lower_bound=1, flag_values=values)
        flags.DEFINE_string("path", None, "Where it is.", flag_values=values)
        flags.DEFINE_float("fraction", 0.5, "", 0, 1, flag_values=values)
        flags.DEFINE_enum("kind", "a", ["a", "b"], "", flag_values=values)
        flags.DEFINE_bool("fast", False, "", flag_values=values)
        define(values)

    return command.Command("toy", "Does nothing.\n\nUsage: toy", define_flags, run).main


def _raise(error):
    def run(values):
        raise error

    return run


def test_flags_arrive_and_success_is_0():
    seen = []
    main = _command(lambda values: seen.append((values.count, values.path)))
    assert main(["--count=5", "--path", "x"]) == 0
    assert main([]) == 0
    assert seen == [(5, "x"), (3, None)]


def test_help_shows_usage_and_every_flag_with_default_and_meaning(capsys):
    assert (
        _command(_raise(AssertionError), shared_flags.define_gin_flags)(["--help", "--typo"]) == 0
    )
    out = capsys.readouterr().out
    for text in ("Does nothing.", "--count=VALUE (default: 3)", "How many.", "--path=VALUE"):
        assert text in out
    for text in ("Where it is.", "--gin_file=VALUE", "--gin.NAME=VALUE", "--debug\n"):
        assert text in out


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--cuont=4"], "no flag --cuont; did you mean --count"),
        (["--count=1e3"], "--count: expected a whole number of at least 1, got '1e3'"),
        (["--count=0"], "--count: expected a whole number of at least 1, got '0'"),
        (["--count=a: b"], "got 'a: b'"),
        (["--fraction=half"], "--fraction: expected a number of at least 0 and at most 1, got"),
        (["--kind=c"], "--kind: expected one of a, b, got 'c'"),
        (["--fast=maybe"], "--fast: expected true or false, got 'maybe'"),
        (["--count"], "Missing value"),
        (["--nodebug=1"], "does not take an argument"),
        (["stray"], "unexpected argument 'stray'"),
        (["--count=4", "stray", "--path=x"], "unexpected argument 'stray'"),
        (["--gin.X=5"], "no flag --gin.X"),
        (["--flagfile=/nowhere/at/all"], "nowhere"),
    ],
)
def test_bad_flags_are_one_line_and_2(fails, argv, says):
    assert says in fails(_command(_raise(AssertionError("ran"))), *argv)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (UserError("a\n  broken   line"), "pcvae: error: a broken line\n"),
        (FileNotFoundError(2, "No such file", "x.png"), "pcvae: error: x.png: No such file\n"),
        (OSError("disk is full"), "pcvae: error: disk is full\n"),
        (MemoryError(), "pcvae: error: MemoryError\n"),
        (tf.errors.ResourceExhaustedError(None, None, "disk\nfull"), "pcvae: error: disk full"),
    ],
)
def test_what_the_user_can_fix_is_one_line_and_2(fails, error, says):
    assert fails(_command(_raise(error))).startswith(says)


def test_a_permission_error_of_the_system_is_one_line(fails, tmp_path):
    def run(values):
        (tmp_path / "file").write_text("")
        (tmp_path / "file" / "below").mkdir()

    assert str(tmp_path / "file" / "below") in fails(_command(run))


def test_debug_adds_the_traceback(capsys):
    assert _command(_raise(UserError("wrong")))(["--debug"]) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("pcvae: error: wrong\n")


def test_an_error_of_the_program_is_a_traceback_and_1(capsys):
    assert _command(_raise(ZeroDivisionError("division")))([]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "ZeroDivisionError" in err
    assert "please report" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (Interrupted(signal.SIGINT, "saved"), 130),
        (Interrupted(signal.SIGTERM, "saved"), 143),
    ],
)
def test_signals_give_their_exit_code_without_a_traceback(capsys, error, code):
    assert _command(_raise(error))([]) == code
    err = capsys.readouterr().err
    assert err.startswith("pcvae: ")
    assert err.count("\n") == 1
    assert "error" not in err


# Where a signal may find a command, and what other people's code makes of an exception.
MOMENTS = {
    "in the work": "wait()",
    "where exceptions are turned into others": """
try:
    wait()
except BaseException as error:
    raise ImportError("cannot import") from error""",
    "where errors are turned into others": """
try:
    wait()
except Exception as error:
    raise ValueError("damaged") from error""",
    "in a finaliser": """
class Last:
    def __del__(self):
        wait()
Last()
wait()""",
    "in code that tells of what passes it": """
import traceback
try:
    wait()
except BaseException:
    traceback.print_exc()
    raise""",
    "in the import of TensorFlow": """
sys.modules.pop("pcvae.runs", None)
command.importlib.import_module = lambda name: wait()
command.import_runs()""",
}
MOMENT = """
import os, signal, sys, time
from pcvae.cli import command, shared_flags
def wait():
    print("ready", flush=True)
    time.sleep(60)
def run(values):
{}
sys.exit(command.Command("toy", "Toy.", lambda values: None, run).main())
"""


def _check_interrupted(moment, number):
    code = MOMENT.format(textwrap.indent(moment, "    "))
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert err == b"pcvae: interrupted\n"
    assert process.returncode == 128 + number


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_at_any_moment_is_one_line_and_its_code(moment, number):
    _check_interrupted(MOMENTS[moment], number)


def test_a_signal_does_not_wait_for_a_call_that_takes_long():
    """Of hours, and such as no handler gets into."""
    call = 'import hashlib; hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)'
    _check_interrupted(f'print("ready", flush=True)\n{call}', signal.SIGTERM)


def test_the_handlers_of_the_caller_come_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.unraisablehook
    assert _command(lambda values: None)([]) == 0
    after = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.unraisablehook
    assert after == before


@pytest.mark.parametrize("name", COMMANDS)
def test_help_and_flag_errors_do_not_wait_for_tensorflow(name):
    code = (
        f"import sys; from pcvae.cli.commands.{name} import main\n"
        "codes = main(['--help']), main(['--typo']), main(['stray'])\n"
        "print(codes, 'tensorflow' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.endswith("(0, 2, 2) False\n")
    assert f"pcvae-{name}" in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_script_in_bin_works_from_another_directory(name, tmp_path):
    script = ROOT / "bin" / name
    assert os.access(script, os.X_OK)
    result = subprocess.run(
        [sys.executable, script, "--typo=1"], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert result.stderr == "pcvae: error: no flag --typo\n"


def test_a_closed_pipe_is_silent():
    code = (
        "import sys; from pcvae.cli.command import Command\n"
        "run = lambda values: print('x' * 10_000_000)\n"
        "sys.exit(Command('toy', 'Toy.', lambda values: None, run).main([]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.read(1)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 128 + signal.SIGPIPE


@pytest.mark.slow
def test_importing_tensorflow_says_nothing():
    code = "from pcvae.cli import command; command.import_runs()"
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr == ""


@pytest.fixture
def chatty(monkeypatch, tmp_path):
    """Puts a module that says something and cannot be imported in the place of pcvae.runs."""
    (tmp_path / "broken.py").write_text(
        "import os\nos.write(2, b'no such library')\nimport nowhere_at_all\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import_module = command.importlib.import_module
    monkeypatch.setattr(command.importlib, "import_module", lambda name: import_module("broken"))


def test_an_import_that_fails_keeps_what_it_said(chatty, capfd):
    with pytest.raises(ModuleNotFoundError):
        command.import_runs()
    assert capfd.readouterr().err == "no such library"


def test_what_an_import_says_is_not_held_back_where_it_is_asked_for(chatty, capfd, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.setattr(command.tempfile, "TemporaryFile", None)
    with pytest.raises(ModuleNotFoundError):
        command.import_runs()
    assert capfd.readouterr().err == "no such library"
