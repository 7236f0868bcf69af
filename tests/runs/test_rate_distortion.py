"""The rate-distortion command's root function: files, names, and what it refuses."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from pcvae import measure, runs, training
from pcvae.cli.commands import rate_distortion as command
from pcvae.errors import UserError
from pcvae.models import DDPM
from tests.conformance.models import DENOISER
from tests.runs.untrained_run import write_run
from tests.show.cells import assert_row

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_eagerly")]

NUMBERS = ("rate_nats_per_dim", "rate_bits_per_dim", "distortion_mse", "psnr_db")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """What `train` leaves, of a model that nobody trained."""
    folder = tmp_path_factory.mktemp("runs")
    generator = np.random.default_rng(0)
    splits = {
        split: generator.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
        for split, count in (("train", 12), ("validation", 4), ("test", 7))
    }
    np.savez(folder / "images.npz", **splits)
    run_dir = write_run(folder / "run", folder / "images.npz", step=7)
    log = training.ScalarLog(run_dir / "summaries", "eval")
    log.scalars(9, {"nll/bits_per_dim": 1.0})  # after the newest checkpoint
    log.close()
    return run_dir


@pytest.fixture(scope="module")
def measured(run_dir):
    return runs.rate_distortion(run_dir=run_dir, refit_steps=2, per_image=run_dir / "a" / "b.npz")


def read_rows(run_dir):
    return json.loads((run_dir / "results" / "rate_distortion.json").read_text())


def test_the_rows_have_the_names_of_the_contract(run_dir, measured):
    rows = read_rows(run_dir)
    assert rows == measured
    assert [(row["decoder"], row["num_levels"], row["resolution"]) for row in rows] == [
        ("refit", 1, 1),
        ("refit", 3, 8),
        ("own", 3, 8),
        ("prior", 1, 1),
        ("prior", 2, 8),
        ("prior", 3, 8),
    ]
    for row in rows:
        assert all(np.isfinite([row[name], row[f"{name}_stderr"]]).all() for name in NUMBERS)
        assert (row["split"], row["num_images"], row["seed"]) == ("test", 7, 0)


def test_the_whole_model_agrees_with_the_evaluation_of_the_run(run_dir, measured):
    record = runs.evaluate(run_dir=run_dir)
    own = next(row for row in measured if row["decoder"] == "own")
    for name in NUMBERS:
        assert own[name] == pytest.approx(record[name], rel=1e-6)


def test_the_values_of_each_image(run_dir, measured):
    with np.load(run_dir / "a" / "b.npz") as saved:
        assert saved["rate_nats_per_level"].shape == (7, 3)
        assert list(saved["num_levels"]) == [row["num_levels"] for row in measured]
        assert list(saved["decoder"]) == [row["decoder"] for row in measured]
        means = saved["distortion_mse"].astype(float).mean(axis=0)
    np.testing.assert_allclose(means, [row["distortion_mse"] for row in measured])


def test_pictures_as_png_and_in_tensorboard(run_dir, measured):
    names = ["rate_by_resolution", "rate_distortion", "refit_reconstructions"]
    assert sorted(path.stem for path in (run_dir / "images").iterdir()) == names
    events = EventAccumulator(str(run_dir / "summaries" / "eval"), size_guidance={"tensors": 0})
    events.Reload()
    for name in names:
        written = tf.io.decode_png((run_dir / "images" / f"{name}.png").read_bytes())
        event = events.Tensors(f"images/{name}")[-1]
        assert event.step == 7
        logged = tf.io.decode_png(tf.make_ndarray(event.tensor_proto)[2])
        np.testing.assert_array_equal(logged, written)
    with np.load(run_dir.parent / "images.npz") as arrays:
        assert_row(written.numpy(), 0, arrays["test"], columns=7)


def test_the_log_of_the_run_is_left_alone(run_dir, measured):
    assert len((run_dir / "summaries" / "eval.jsonl").read_text().splitlines()) == 1


def test_without_steps_the_decoders_that_are_there_are_used(run_dir, measured):
    assert runs.rate_distortion(run_dir=run_dir, prefixes=("1x1",)) == measured


def test_the_curve_of_a_part_of_another_split(run_dir, measured, tmp_path):
    copy = shutil.copytree(run_dir, tmp_path / "run")
    rows = runs.rate_distortion(run_dir=copy, split="train", num_images=5, seed=3)
    assert {(row["split"], row["num_images"], row["seed"]) for row in rows} == {("train", 5, 3)}


def test_the_curve_is_that_of_the_evaluation_module(run_dir, measured):
    model = runs.load(run_dir)
    images = np.load(run_dir.parent / "images.npz")["test"]
    decoders = runs.load_prefix_decoders(run_dir, model)
    rows = measure.rate_distortion_curve(model, images, decoders)
    for row, wanted in zip(rows, measured, strict=True):
        assert row["distortion_mse"] == pytest.approx(wanted["distortion_mse"], rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"num_images": 99}, "num_images: the test split has 7 images, got 99"),
        ({"prefixes": (2,)}, "no decoder is fitted for K = 2: fit with --refit_steps=N"),
        ({"prefixes": ("4x4",)}, "prefixes: expected 1..3, got '4x4'"),
        ({"refit_steps": 3}, "steps 2 there, 3 now"),
    ],
)
def test_what_does_not_fit_the_run_is_refused(run_dir, measured, changes, says):
    with pytest.raises(UserError, match=says):
        runs.rate_distortion(run_dir=run_dir, **changes)
    assert read_rows(run_dir) == measured


def test_the_command_prints_a_table_with_units_and_one_line_for_a_mistake(
    run_dir, measured, capsys
):
    assert command.main([f"--run_dir={run_dir}"]) == 0
    assert read_rows(run_dir) == measured
    out = capsys.readouterr().out
    # A decoder above the upper bound is said to be unfinished; two steps hardly fit one.
    errors = {(row["decoder"], row["num_levels"]): row["distortion_mse"] for row in measured}
    for num_levels in (1, 3):
        is_above = errors["refit", num_levels] > errors["prior", num_levels]
        assert (f"fitted to K = {num_levels} is not at its floor" in out) == is_above
    header = next(line for line in out.splitlines() if "decoder" in line)
    for name in ("rate (nats/dim)", "rate (bits/dim)", "mse", "PSNR (dB)", "K", "resolution"):
        assert name in header
    assert len([line for line in out.splitlines() if "+-" in line]) == len(measured)
    assert command.main([f"--run_dir={run_dir}", "--prefixes=4x4", "--refit_steps=2"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pcvae: error: prefixes: expected 1..3")
    assert error.count("\n") == 1


def test_a_model_with_a_decoder_for_every_prefix_has_rows_of_the_prior_for_some(tmp_path, capsys):
    model = DDPM((4, 4, 3), num_levels=11, schedule="log_snr", **DENOISER)
    images = np.random.default_rng(1).integers(0, 256, (1, 4, 4, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", train=images, validation=images, test=images)
    run_dir = write_run(tmp_path / "run", tmp_path / "images.npz", model=model)
    assert command.main([f"--run_dir={run_dir}"]) == 0
    found = [(row["decoder"], row["num_levels"]) for row in read_rows(run_dir)]
    assert found == [
        *(("own", length) for length in range(1, 12)),
        *(("prior", length) for length in model.prefixes),
    ]
    assert len(model.prefixes) == 10 and "not at its floor" not in capsys.readouterr().out
