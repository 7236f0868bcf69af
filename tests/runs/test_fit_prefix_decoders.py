"""The refit of a run's prefixes: frozen stays frozen, resumes bit by bit, overwrites nothing."""

import json
import shutil
import signal

import numpy as np
import pytest

from pcvae import models, runs, training
from pcvae.errors import Interrupted, UserError
from pcvae.training import reports
from pcvae.training.summaries import read_scalar_lines
from tests.runs.untrained_run import write_run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_eagerly")]

STEPS = 4


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "images.npz"
    generator = np.random.default_rng(0)
    np.savez(path, images=generator.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8))
    return path


@pytest.fixture
def run_dir(tmp_path, arrays):
    return write_run(tmp_path / "run", arrays)


def fit(run_dir, **changes):
    arguments = {"steps": STEPS, "report_every_steps": 1, "checkpoint_every_steps": 3}
    return runs.fit_prefix_decoders(run_dir=run_dir, **{**arguments, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory, arrays):
    run_dir = write_run(tmp_path_factory.mktemp("runs") / "run", arrays)
    before = contents(run_dir)
    return run_dir, fit(run_dir), before


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_the_folder_is_complete_and_the_run_untouched(finished):
    run_dir, record, before = finished
    folder = run_dir / "prefix_decoders"
    assert json.loads((folder / "fit.json").read_text()) == record
    assert record["prefixes"] == [1, 3]
    assert record["batch_size"] == 4
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        "checkpoints.json",
        "fit.json",
        "model.json",
        "summaries",
    ]
    after = contents(run_dir)
    assert {name: after[name] for name in before} == before
    assert all(name.parts[0] == "prefix_decoders" for name in after.keys() - before.keys())
    lines = read_scalar_lines(folder / "summaries" / "train.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert {"distortion/prefix_001_mse", "distortion/mse", "rate/level_002_nats"} <= set(lines[0])


def test_the_frozen_weights_are_equal_bit_by_bit_and_their_digest_is_recorded(finished):
    run_dir, record, _ = finished
    digest = models.weights_sha256(runs.load(run_dir))
    assert record["frozen_weights_sha256_before"] == digest
    assert record["frozen_weights_sha256_after"] == digest


def test_checkpoints_hold_the_decoders_alone(finished):
    run_dir, _, _ = finished
    model = runs.load(run_dir)
    decoders = runs.load_prefix_decoders(run_dir, model)
    for group in ("model", "ema"):
        found = training.read_group(run_dir / "prefix_decoders" / "checkpoints", group)
        assert found.keys() == decoders.named_weights.keys()
    for name, weight in decoders.named_weights.items():
        np.testing.assert_array_equal(weight.numpy(), found[name])


def test_a_fit_that_is_done_does_nothing_more(finished):
    run_dir, record, _ = finished
    before = contents(run_dir)
    assert fit(run_dir) == record
    assert fit(run_dir, prefixes=("1x1", 3)) == record
    assert contents(run_dir) == before


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"prefixes": (2,)}, r"prefixes \[1, 3\] there, \[2\] now"),
        ({"steps": STEPS + 1}, "steps 4 there, 5 now"),
        ({"learning_rate": 1e-4}, "learning_rate"),
        ({"seed": 1}, "seed 0 there, 1 now"),
    ],
)
def test_another_fit_is_refused_and_nothing_overwritten(finished, changes, says):
    run_dir, _, _ = finished
    before = contents(run_dir)
    with pytest.raises(UserError, match=says) as error:
        fit(run_dir, **changes)
    assert "--refit_from_scratch" in str(error.value)
    assert "\n" not in str(error.value)
    assert contents(run_dir) == before


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"prefixes": ("2x2",)}, "prefixes: expected 1..3, got '2x2'; by resolution: '1x1' = 1"),
        ({"steps": 0}, "steps: .*got 0"),
        ({"batch_size": -4}, "batch_size: .*got -4"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"spec": "arrays:nowhere.npz"}, "nowhere"),
    ],
)
def test_what_cannot_be_fitted_leaves_no_trace(run_dir, changes, says):
    before = contents(run_dir)
    with pytest.raises(UserError, match=says):
        fit(run_dir, **changes)
    assert contents(run_dir) == before


def test_from_scratch_replaces_what_is_there(finished, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(finished[0], run_dir)
    record = fit(run_dir, steps=2, prefixes=(2,), from_scratch=True)
    assert record["prefixes"] == [2]
    assert runs.load_prefix_decoders(run_dir, runs.load(run_dir)).prefixes == (2,)


def stop_after(step, monkeypatch):
    """Sends SIGINT while a step is reported."""
    original = reports.progress_line

    def line(window):
        if window.step == step:
            signal.raise_signal(signal.SIGINT)
        return original(window)

    monkeypatch.setattr(reports, "progress_line", line)


def test_a_signal_saves_a_checkpoint_that_resumes_bit_by_bit(finished, run_dir, monkeypatch):
    straight, record, _ = finished
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        saved = "step 2 of the fit; checkpoint saved; the same command without --refit_from_scratch"
        with pytest.raises(Interrupted, match=saved):
            fit(run_dir, from_scratch=True)
    model = runs.load(run_dir)
    with pytest.raises(UserError, match="stopped before its 4 steps: go on with --refit_steps=4"):
        runs.load_prefix_decoders(run_dir, model)
    with pytest.raises(UserError, match="steps 4 there, 9 now"):
        fit(run_dir, steps=9)
    assert fit(run_dir) == record
    for group in ("model", "ema", "optimizer", "update"):
        folders = (run / "prefix_decoders" / "checkpoints" for run in (straight, run_dir))
        expected, found = (training.read_group(folder, group) for folder in folders)
        assert found.keys() == expected.keys()
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    lines = read_scalar_lines(run_dir / "prefix_decoders" / "summaries" / "train.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]


def test_decoders_of_other_weights_are_refused(finished, arrays, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(finished[0], run_dir)
    write_run(run_dir, arrays, seed=1, step=2)
    before = contents(run_dir)
    for call in (
        lambda: fit(run_dir),
        lambda: runs.load_prefix_decoders(run_dir, runs.load(run_dir)),
    ):
        with pytest.raises(UserError, match="fitted to other weights than the run has now"):
            call()
    assert contents(run_dir) == before


def test_a_damaged_record_is_named(finished, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(finished[0], run_dir)
    path = run_dir / "prefix_decoders" / "fit.json"
    for text in ("{", "[]", "{}"):
        path.write_text(text)
        with pytest.raises(UserError, match="expected the record of a fit"):
            fit(run_dir)


def test_there_may_be_no_fit(run_dir):
    assert runs.load_prefix_decoders(run_dir, runs.load(run_dir)) is None


def test_two_replicas_give_the_fit_of_one(finished, run_dir):
    straight, record, _ = finished
    strategy = training.make_strategy("mirrored", ("CPU:0", "CPU:1"))
    assert fit(run_dir, strategy=strategy) == record
    folders = (run / "prefix_decoders" / "checkpoints" for run in (straight, run_dir))
    expected, found = (training.read_group(folder, "ema") for folder in folders)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-5)
