"""What an installed package holds: modules, gin files, console scripts equal to bin/*."""

import configparser
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pcvae
from pcvae.cli import program

ROOT = Path(__file__).parents[1]
GIN_FILES = sorted(path.relative_to(ROOT / "gin") for path in (ROOT / "gin").rglob("*.gin"))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A copy of the checkout, built as for a wheel; returns the folder of its modules."""
    folder = tmp_path_factory.mktemp("build")
    copy = folder / "checkout"
    for name in ("pcvae", "gin", "bin"):
        left_out = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=left_out)
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy / name)
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", folder / "lib"],
        cwd=copy,
        check=True,
        capture_output=True,
    )
    return folder / "lib"


def _run(code, cwd, path):
    """Runs Python with a folder of modules in front, as if it were installed."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_the_build_holds_every_module_gin_file_and_template(built):
    modules = {path.relative_to(ROOT) for path in (ROOT / "pcvae").rglob("*.py")}
    templates = {path.relative_to(ROOT) for path in (ROOT / "pcvae").rglob("templates/*.html")}
    typed = {Path("pcvae", "py.typed")}
    expected = modules | templates | typed | {Path("pcvae", "gin", path) for path in GIN_FILES}
    files = (path for path in built.rglob("*") if path.is_file())
    assert {path.relative_to(built) for path in files} == expected
    assert GIN_FILES
    assert templates


def test_the_build_finds_its_gin_files_from_anywhere(built, tmp_path):
    code = (
        "from pcvae import gin_utils; import gin; print(gin.__file__); "
        "print(gin_utils.shipped_gin_folder())"
    )
    result = _run(code, tmp_path, built)
    gin_library, gin_folder = result.stdout.splitlines()
    assert Path(gin_folder) == built / "pcvae" / "gin"
    assert built not in Path(gin_library).parents


def test_the_checkout_finds_its_gin_files():
    assert pcvae.__file__ == str(ROOT / "pcvae" / "__init__.py")
    from pcvae import gin_utils

    assert gin_utils.shipped_gin_folder() == ROOT / "gin"


def test_a_command_of_the_build_works_from_anywhere(built, tmp_path):
    code = "import sys; from pcvae.cli.commands.train import main; sys.exit(main(['--help']))"
    result = _run(code, tmp_path, built)
    assert result.returncode == 0
    assert "--run_dir" in result.stdout


def test_console_scripts_and_the_scripts_in_bin_are_those_of_the_listed_commands(tmp_path):
    names = program.module_names()
    assert {"train", "evaluate", "rate_distortion"} <= set(names)
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    parsed = configparser.ConfigParser()
    parsed.read(next(tmp_path.glob("*.egg-info")) / "entry_points.txt")
    scripts = {
        f"pcvae-{name.replace('_', '-')}": f"pcvae.cli.commands.{name}:main" for name in names
    }
    expected = {"pcvae": "pcvae.cli.program:main", **scripts}
    assert dict(parsed["console_scripts"]) == expected
    for target in expected.values():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))
    assert sorted(path.name for path in (ROOT / "bin").iterdir()) == names
    assert len({path.read_text() for path in (ROOT / "bin").iterdir()}) == 1


def test_the_version_stands_in_one_place():
    result = subprocess.run(
        [sys.executable, "setup.py", "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.stdout.split()[-1] == pcvae.__version__


def test_ci_runs_the_command_line_of_the_readme():
    line = re.search(r"python3 -m venv .*pytest", (ROOT / "README.md").read_text())
    assert line, "the README lacks the command line that installs and tests"
    assert line[0] in (ROOT / ".ci" / "run").read_text()


@pytest.mark.slow
def test_every_public_module_is_reached_lazily_by_its_name():
    code = (
        "import sys, pcvae\n"
        "names = dir(pcvae)\n"
        "assert set(pcvae.__all__) <= set(names), names\n"
        "assert 'tensorflow' not in sys.modules\n"
        "print(*(name for name in pcvae.__all__ if hasattr(pcvae, name)))\n"
        "assert pcvae.units.num_dims((2, 2, 3)) == 12\n"
        "assert issubclass(pcvae.errors.UserError, ValueError)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == pcvae.__all__
    package = ROOT / "pcvae"
    rooms = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    private = {
        "__init__",
        "__main__",
        "__pycache__",
        "checks",
        "cli",
        "commands",
        "files",
        "gin",
        "greetings",
        "gin_utils",
        "kept_docstrings",
        "leftovers",
        "locks",
        "memory",
        "processes",
        "sources",
        "progress",
        "registration",
        "signals",
        "tracing",
        "variables",
    }
    assert rooms - private == set(pcvae.__all__) - {"__version__", "load"}
