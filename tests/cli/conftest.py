"""A stand-in for pcvae.runs that records its calls: commands are tested by what they ask of it."""

import importlib
import sys
import types

import pytest

import pcvae
from pcvae.cli import step_process
from pcvae.errors import StepFailed
from tests.gin_registry import own_registry  # noqa: F401 - for every test here

runs = types.ModuleType("stand_in_runs")
data = types.ModuleType("stand_in_data")


class Model:
    def __init__(self, image_shape=(8, 8, 3), width=8):
        self.image_shape, self.width = image_shape, width


class Dataset:
    def __init__(self, spec):
        self.spec, self.image_shape = spec, (4, 4, 1)


def from_spec(spec):
    return Dataset(spec)


class Trainer:
    def __init__(self, micro_batches=1):
        self.micro_batches = micro_batches


def train(
    *,
    run_dir,
    model_fn,
    dataset,
    steps,
    batch_size=None,
    trainer_fn=None,
    seed=0,
    on_assembled,
    on_start,
):
    model = model_fn(image_shape=dataset.image_shape)
    on_assembled()
    text = on_start()
    runs.calls.append(
        {"run_dir": run_dir, "model": model, "dataset": dataset, "steps": steps, "text": text}
    )


def describe(*, model_fn, image_shape, batch_size, micro_batches=1):
    model = model_fn() if image_shape is None else model_fn(image_shape=image_shape)
    batch = f"batch {batch_size} in {micro_batches}"
    return f"width {model.width} shape {model.image_shape} {batch}"


def describe_run(*, run_dir, batch_size):
    return f"run {run_dir} batch {batch_size}"


def _recorder(name):
    def call(**arguments):
        runs.calls.append(arguments)

    return call


for _function in (train, describe, describe_run, Model, Trainer):
    _function.__module__ = "stand_in_runs"
    setattr(runs, _function.__name__, _function)
_RECORDED = (
    "evaluate sample reconstruct rate_distortion import_openai export encode decode interpolate "
    "traverse swap train_extractor progressive explore"
)
for _name in _RECORDED.split():
    setattr(runs, _name, _recorder(_name))
data.from_spec = from_spec
from_spec.__module__ = "stand_in_data"

EXPERIMENT = """\
from __gin__ import dynamic_registration
import stand_in_runs as runs
from pcvae import data

TRAIN_STEPS = 100

runs.train.model_fn = @runs.Model
runs.train.dataset = @data.from_spec()
runs.train.steps = %TRAIN_STEPS
data.from_spec.spec = 'synthetic'
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts the stand-ins in place of pcvae.runs and pcvae.data, in a directory with exp.gin."""
    monkeypatch.setitem(sys.modules, "stand_in_runs", runs)
    for name, module in (("runs", runs), ("data", data)):
        monkeypatch.setitem(sys.modules, f"pcvae.{name}", module)
        monkeypatch.setattr(pcvae, name, module, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exp.gin").write_text(EXPERIMENT)
    (tmp_path / "x").mkdir()  # what flags of tests name: a folder, an extractor, an export, weights
    for name in ("a.pb", "e", "w.npz"):
        (tmp_path / name).touch()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "quickstart.gin").write_text("include 'exp.gin'\n")
    runs.calls = []
    return runs


@pytest.fixture
def run_dir(tmp_path):
    """A directory that looks like a run."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.json").write_text("{}")
    return str(tmp_path / "run")


@pytest.fixture
def steps_in_this_process(monkeypatch):
    """Runs the steps of a command by the mains of their own, without a process for each."""

    def run_step(name, arguments):
        main = importlib.import_module(f"pcvae.cli.commands.{name}").main
        if code := main([str(argument) for argument in arguments]):
            raise StepFailed(code)

    monkeypatch.setattr(step_process, "run_step", run_step)


@pytest.fixture
def fails(capsys):
    """Calls a main; returns its one line on standard error after checking that it is one line."""

    def call(main, *argv):
        assert main(list(argv)) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("pcvae: error: ")
        assert captured.err.count("\n") == 1
        return captured.err

    return call
