"""A command with closed, full, narrow and broken standard streams."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOY = """
import contextlib, os, sys
from pcvae.cli.command import Command

def run(values):
    print("result", {text!r}, flush=True)
    print("progress", file=sys.stderr, flush=True)
    with open({path!r}, "w") as file:
        with contextlib.suppress(OSError):
            os.write(2, b"from a library")
        file.write(f"{{file.fileno()}}")
    assert sys.stdin.read() == ""

sys.exit(Command("toy", "Toy.", lambda values: None, run).main())
"""


def run_toy(tmp_path, redirection, text="x", **environment):
    """Runs a command through a shell; returns exit code, output, errors and what it wrote."""
    code = TOY.format(text=text, path=str(tmp_path / "file"))
    result = subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {redirection}', sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, **environment},
    )
    written = (tmp_path / "file").read_text() if (tmp_path / "file").exists() else None
    return result.returncode, result.stdout, result.stderr, written


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_descriptors_are_no_reason_to_end(tmp_path, closed):
    code, out, err, written = run_toy(tmp_path, closed)
    assert code == 0
    assert out == (b"" if " >&-" in f" {closed}" else b"result x\n")
    assert err == (b"" if "2>&-" in closed else b"progress\nfrom a library")
    assert int(written) > 2  # a file never gets the number of a standard stream


@pytest.mark.parametrize("full", [">/dev/full", "2>/dev/full", ">/dev/full 2>&1"])
def test_a_full_disk_under_the_output_is_no_reason_to_end_and_is_told(tmp_path, full):
    code, _, err, written = run_toy(tmp_path, full)
    assert written is not None
    assert code == (0 if full == "2>/dev/full" else 74)
    said = err.decode().partition("library")[2]
    assert said.startswith("pcvae: error: standard output cannot be written: No space") == (
        full == ">/dev/full"
    )
    assert said.count("\n") == (full == ">/dev/full")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_help_that_cannot_be_written_is_told(arguments):
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "pcvae", *arguments],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert result.returncode == 74
    assert result.stderr.count(b"\n") == 1


def test_a_step_whose_output_cannot_be_written_is_done():
    code = (
        "from pcvae.cli import step_process, streams\n"
        "streams.outlast_failures()\n"
        "step_process.run_step('describe', ['--help'])\n"
    )
    with open("/dev/full", "w") as full:
        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=full).returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8:strict"])
def test_what_an_encoding_lacks_is_escaped(tmp_path, encoding):
    text = "\u4e2d" + os.fsdecode(b"caf\xe9")
    code, out, err, _ = run_toy(tmp_path, "", text, PYTHONIOENCODING=encoding)
    assert (code, err) == (0, b"progress\nfrom a library")
    start = "\u4e2d".encode() if encoding == "utf-8:strict" else rb"\u4e2d"
    assert out == b"result " + start + rb"caf\udce9" + b"\n"


@pytest.mark.parametrize("streams", ["out", "both"])
def test_a_pipe_that_nobody_reads_ends_a_command_in_silence(tmp_path, streams):
    code = (
        "import sys; from pcvae.cli.command import Command\n"
        "def run(values):\n"
        "    while True: print('x' * 1000)\n"
        "sys.exit(Command('toy', 'Toy.', lambda values: None, run).main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if streams == "out" else subprocess.STDOUT,
    )
    process.stdout.read(1)
    process.stdout.close()
    if streams == "out":
        assert process.stderr.read() == b""
        process.stderr.close()
    assert process.wait() == 128 + signal.SIGPIPE
