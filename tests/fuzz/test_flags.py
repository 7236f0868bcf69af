"""Any flags with any values: a command does its work, or one line names a flag or its value."""

import importlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from absl import flags
from hypothesis import given
from hypothesis import strategies as st

from pcvae.cli import command, program
from pcvae.errors import UserError
from tests.fuzz.promise import cases, outcome

RUN = Path(__file__).parents[1] / "goldens" / "run_0_1_0"
FITS = "the flags fit together"
# What these do with the golden run takes a second; the others are stopped before they start.
QUICK = {"sample", "reconstruct", "encode", "decode", "interpolate", "traverse", "swap"}
NUMBERS = ["-1", "0", "1", "2", "3", str(10**12), str(10**30), "0.5", "1e300", "nan", "inf", "-0"]
WORDS = [
    "",
    "x",
    "test",
    "4x4",
    "0-3,7",
    "1.0:0.7",
    "1.0,0.9",
    "synthetic",
    "linear",
    "3,3",
    ",",
    "~",
]
PLACES = ["run", "nothing", "empty", "images.npy", "arrays:images.npy", "folder:empty", "/dev/null"]
PLACES += ["out.png", "out.npz", "out/", "images.npy/x", "experiments/quickstart.gin"]


def flags_of(name):
    """Returns the names of the flags of a command."""
    values = flags.FlagValues()
    importlib.import_module(f"pcvae.cli.commands.{name}").define_flags(values)
    return sorted(values)


COMMANDS = {name: flags_of(name) for name in program.module_names()}
some_value = st.sampled_from([*NUMBERS, *WORDS, *PLACES]) | st.text(max_size=4)


@st.composite
def command_lines(draw):
    """Draws (command, arguments): most flags once, some of them more often, or misspelt."""
    name = draw(st.sampled_from(sorted([*COMMANDS, *QUICK, *QUICK])))
    given = draw(st.lists(st.sampled_from(COMMANDS[name]), max_size=4))
    argv = [f"--{flag}={draw(some_value)}" for flag in given]
    if "run_dir" in COMMANDS[name] and draw(st.booleans()):
        argv.append("--run_dir=run")
    if "images" in COMMANDS[name] and draw(st.booleans()):
        argv.append("--images=images.npy")
    argv += draw(
        st.lists(st.sampled_from(["x", "--", "--nothing=1", "-", "--=", "--no"]), max_size=1)
    )
    return name, argv


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working directory with a run, images of its size, and an empty folder."""
    folder = tmp_path_factory.mktemp("flags")
    shutil.copytree(RUN, folder / "run")
    (folder / "empty").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    np.save(folder / "images.npy", pixels)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(folder))
        yield folder


def stop():
    raise UserError(FITS)


@cases(1.3)
@given(line=command_lines())
def test_any_command_line(folder, module_eagerly, line):
    name, argv = line
    with pytest.MonkeyPatch.context() as patch:
        if name not in QUICK:
            patch.setattr(command, "import_runs", stop)
        main = importlib.import_module(f"pcvae.cli.commands.{name}").main
        named = [part for argument in argv for part in argument.split("=") if part]
        outcome(main, argv, folder, ["--", "expected", FITS, *COMMANDS[name], *named])
