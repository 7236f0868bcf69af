"""The program pcvae: its list of commands, and that it runs each as its own script does."""

import subprocess
import sys
from pathlib import Path

import pytest

import pcvae
from pcvae.cli import commands, program
from pcvae.cli.commands import train

ROOT = Path(__file__).parents[2]


def _run(*command, cwd=ROOT):
    return subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize("argv", [["--help"], ["-h"], []])
def test_help_lists_every_command_with_one_line(capsys, argv):
    assert program.main(argv) == 0
    out = capsys.readouterr().out
    listed = out[out.index("Commands:\n") :].splitlines()[1:]
    assert [line.split()[0].replace("-", "_") for line in listed] == program.module_names()
    assert all(len(line.split()) > 3 for line in listed)
    assert train.__doc__.splitlines()[0] in out


def test_help_imports_neither_tensorflow_nor_a_command():
    code = (
        "import sys; from pcvae.cli import program; program.main(['--help'])\n"
        "slow = ('tensorflow', 'pcvae.runs', 'pcvae.cli.commands', 'numpy', 'gin')\n"
        "print([name for name in slow if name in sys.modules])"
    )
    assert _run("-c", code).stdout.endswith("\n[]\n")


def test_help_of_no_command_imports_what_takes_seconds():
    code = (
        "import contextlib, io, sys; from pcvae.cli import program\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    codes = {program.run_command(name, ['--help']) for name in program.module_names()}\n"
        "slow = ('tensorflow', 'keras', 'pcvae.runs', 'matplotlib', 'scipy')\n"
        "print(codes, [name for name in slow if name in sys.modules])"
    )
    assert _run("-c", code).stdout == "{0} []\n"


def test_version(capsys):
    assert program.main(["--version"]) == 0
    assert capsys.readouterr().out == f"pcvae {pcvae.__version__}\n"


@pytest.mark.parametrize("name", program.module_names())
def test_a_command_of_the_program_has_the_help_of_its_own_script(capsys, name):
    assert program.main([name.replace("_", "-"), "--help"]) == 0
    by_program = capsys.readouterr().out
    assert program.run_command(name, ["--help"]) == 0
    assert by_program == capsys.readouterr().out
    assert f"pcvae-{name.replace('_', '-')}" in by_program


@pytest.mark.parametrize(
    ("given", "nearest"), [("trian", "train"), ("evalute", "evaluate"), ("table3", "table")]
)
def test_an_unknown_command_is_one_line_that_names_the_nearest_first(fails, given, nearest):
    line = fails(program.main, given, "--run_dir=x")
    assert f"'{given}'" in line
    named = line.rpartition("expected ")[2].strip().split(", ")
    assert named[0].startswith(nearest)
    assert sorted(named) == sorted(name.replace("_", "-") for name in program.module_names())


def test_arguments_and_exit_code_are_those_of_the_command(stand_in, fails):
    assert program.main(["train", "--gin_file=exp.gin", "--run_dir=there"]) == 0
    assert stand_in.calls[0]["run_dir"] == "there"
    assert "--typo" in fails(program.main, "train", "--typo")


def test_python_m_pcvae_and_the_script_in_bin_are_the_program(tmp_path):
    by_module = _run("-m", "pcvae", "train", "--help")
    by_script = _run(str(ROOT / "bin" / "train"), "--help", cwd=tmp_path)
    assert by_module.returncode == by_script.returncode == 0
    assert by_module.stdout == by_script.stdout
    assert "--run_dir" in by_module.stdout


@pytest.mark.parametrize("name", program.module_names())
def test_every_command_runs_as_a_module(name):
    """Its last lines are those that make it run; the rest is as in the console script."""
    source = (Path(commands.__file__).parent / f"{name}.py").read_text("utf-8")
    assert source.endswith('if __name__ == "__main__":\n    raise SystemExit(main())\n')


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "pcvae", "train"),
        ("-m", "pcvae.cli.commands.train"),
        ("-m", "pcvae.commands.train"),
        ("-OO", "-m", "pcvae", "train"),
        ("-OO", "-m", "pcvae.cli.commands.train"),
    ],
)
def test_python_runs_a_command_by_its_module_with_or_without_docstrings(arguments):
    shown = _run(*arguments, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("Trains a model; without any flag,")
    refused = _run(*arguments, "--no_such_flag=1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "pcvae: error: no flag --no_such_flag\n"


def test_the_list_of_commands_needs_no_docstrings():
    shown = [_run(*flags, "-m", "pcvae").stdout for flags in ((), ("-OO",))]
    assert shown[0] == shown[1] and "  train " in shown[0]
