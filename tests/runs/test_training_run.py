"""A training run leaves what it promises, resumes bit by bit, and ends in order on a signal."""

import json
import os
import shutil
import signal

import numpy as np
import pytest
from PIL import Image

import pcvae
from pcvae import data, models, objectives, runs, show, training
from pcvae.errors import Interrupted, UserError
from pcvae.runs.run_directory import read_run
from pcvae.training import reports
from pcvae.training.summaries import read_scalar_lines
from tests.show.cells import ROW, assert_row

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_eagerly")]


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "images.npz"
    generator = np.random.default_rng(0)
    base = generator.integers(0, 256, (60, 1, 1, 3))
    noise = generator.integers(-8, 9, (60, 8, 8, 3))
    np.savez(path, images=np.clip(base + noise, 0, 255).astype(np.uint8))
    return path


def small_vdvae(image_shape):
    return models.VDVAE(
        image_shape=image_shape,
        encoder_blocks="8d2,4d4,1x1",
        decoder_blocks="1x1,4m1,4x1,8m4",
        width=8,
        latent_width=2,
        num_mixtures=2,
    )


def train(run_dir, arrays, steps, **changes):
    arguments = {
        "run_dir": run_dir,
        "dataset": data.from_spec(f"arrays:{arrays}"),
        "model_fn": small_vdvae,
        "objective_fn": objectives.NegativeELBO,
        "optimizer_fn": lambda: training.AdamW(learning_rate=1e-3, warmup_steps=2),
        "update_fn": training.GradientUpdate,
        "trainer_fn": training.Trainer,
        "steps": steps,
        "batch_size": 4,
        "report_every_steps": 2,
        "evaluate_every_steps": 3,
        "checkpoint_every_steps": 3,
        "images_every_steps": 4,
    }
    return runs.train(**{**arguments, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory, arrays):
    """A run of six steps, started beside its data, whose path it gets without a folder."""
    run_dir = tmp_path_factory.mktemp("runs") / "straight"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(arrays.parent)
        return run_dir, train(run_dir, arrays.name, 6)


def test_the_run_directory_is_complete(finished):
    run_dir, record = finished
    assert json.loads((run_dir / "results" / "evaluation.json").read_text()) == record
    assert sorted(path.name for path in (run_dir / "images").iterdir()) == [
        "prefix_reconstruction.png",
        *(f"samples_t{temperature}.png" for temperature in (0.7, 0.8, 0.9)),
        "samples_t1.0.png",
    ]
    for name in ("train", "eval"):
        assert list((run_dir / "summaries" / name).glob("*tfevents*"))
    for name in ("model.json", "run.json"):
        assert (run_dir / name).exists()


def test_the_record_has_the_names_of_the_contract(finished):
    _, record = finished
    assert record["weights"] == "ema"
    for name in (
        "negative_elbo_bits_per_dim",
        "nll_bits_per_dim",
        "rate_bits_per_dim",
        "rate_nats_per_dim",
        "rate_nats_per_level",
        "distortion_mse",
        "psnr_db",
    ):
        assert name in record
        assert f"{name}_stderr" in record
    assert len(record["rate_nats_per_level"]) == 4


def test_scalars_have_the_tags_of_the_contract(finished):
    run_dir, _ = finished
    lines = read_scalar_lines(run_dir / "summaries" / "train.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 4, 6]
    assert {
        "rate/total_bits_per_dim",
        "rate/resolution_004",
        "rate/level_003_nats",
        "nll/bits_per_dim",
        "negative_elbo/bits_per_dim",
        "distortion/mse",
        "optimizer/gradient_norm",
        "optimizer/skipped_updates",
        "optimizer/learning_rate",
        "throughput/images_per_second",
        "throughput/data_wait_fraction",
    } <= set(lines[-1])
    evaluations = read_scalar_lines(run_dir / "summaries" / "eval.jsonl")
    assert [line["step"] for line in evaluations] == [3, 6]


def test_load_gives_the_averaged_weights(finished):
    run_dir, _ = finished
    averaged = training.read_group(run_dir / "checkpoints", "ema")
    raw = training.read_group(run_dir / "checkpoints", "model")
    model = pcvae.load(run_dir)
    for name, weight in model.named_weights.items():
        np.testing.assert_array_equal(weight.numpy(), averaged[name])
    assert any((averaged[name] != raw[name]).any() for name in raw)


def test_evaluating_again_gives_the_same_record(finished):
    run_dir, record = finished
    assert runs.evaluate(run_dir=run_dir) == record
    path = run_dir / "results" / "evaluation.json"
    assert json.loads(path.read_text()) == record
    some = runs.evaluate(run_dir=run_dir, split="train", num_images=5)
    assert (some["num_images"], some["split"]) == (5, "train")
    look = path.with_name("evaluation_train_5_images.json")
    assert json.loads(look.read_text()) == some
    assert json.loads(path.read_text()) == record  # a quick look replaces nothing
    with pytest.raises(UserError, match="test split has"):
        runs.evaluate(run_dir=run_dir, num_images=10_000)


def test_an_evaluation_says_its_images_and_may_be_written_elsewhere(finished, arrays, tmp_path):
    run_dir, record = finished
    assert record["data"] == {"spec": f"arrays:{arrays}"}
    np.save(tmp_path / "other.npy", np.load(arrays)["images"][:30])
    other = runs.evaluate(
        run_dir=run_dir, spec=f"arrays:{tmp_path}/other.npy", output=tmp_path / "new" / "o.json"
    )
    assert other["data"] == {"spec": f"arrays:{tmp_path}/other.npy", "image_size": 8}
    assert json.loads((tmp_path / "new" / "o.json").read_text()) == other
    assert json.loads((run_dir / "results" / "evaluation.json").read_text()) == record


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1]", "got list"),
        ("{}", "one without data, batch_size"),
        ('{"data": null, "steps": 1, "seed": 0}', "one without batch_size"),
        ("{", "got no JSON "),
    ],
)
def test_a_record_of_a_run_that_is_none_is_named(tmp_path, text, says):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=f"run.json: expected the record of a run, .*{says}") as e:
        read_run(tmp_path)
    assert "\n" not in str(e.value)


def test_a_run_of_relative_data_is_evaluated_from_any_directory(finished, arrays, tmp_path):
    run_dir, record = finished
    assert not (tmp_path / arrays.name).exists() and os.getcwd() != str(arrays.parent)
    assert json.loads((run_dir / "run.json").read_text())["data"] == record["data"]
    assert record["data"] == {"spec": f"arrays:{arrays}"}


def test_samples_and_reconstructions_as_pictures_and_arrays(finished, arrays, tmp_path):
    run_dir, _ = finished
    model, images = pcvae.load(run_dir), np.load(arrays)["images"]
    images = images[data.chosen_indices(0, 10, len(images))]
    path = tmp_path / "new" / "a.png"
    runs.sample(run_dir=run_dir, num_samples=5, temperature=0.9, seed=3, output=path)
    grid = show.image_grid(model.sample(5, 0.9, seed=3))
    np.testing.assert_array_equal(np.asarray(Image.open(path)), grid)
    options = {"run_dir": run_dir, "images": arrays, "num_levels": 2, "seed": 0, "num_images": 10}
    for name in ("r.png", "r.npz"):
        runs.reconstruct(**options, output=tmp_path / name)
    reconstructions = model.reconstruct(images, 2, seed=0)
    with np.load(tmp_path / "r.npz") as saved:
        np.testing.assert_array_equal(saved["images"], images)
        np.testing.assert_array_equal(saved["reconstructions"], reconstructions)
    rows = (images[:8], reconstructions[:8], images[8:], reconstructions[8:])
    for index, row in enumerate(rows):
        assert_row(np.asarray(Image.open(tmp_path / "r.png")), index * ROW, row, columns=8)


def test_many_samples_come_in_batches_with_progress(finished, tmp_path, capsys):
    run_dir, _ = finished
    options = {"run_dir": run_dir, "temperature": 0.9, "seed": 3}
    runs.sample(num_samples=130, output=tmp_path / "a.npz", **options)
    assert "drawing images, batches: 9 done" in capsys.readouterr().err
    with np.load(tmp_path / "a.npz") as saved:
        expected = pcvae.load(run_dir).sample(130, temperature=0.9, seed=3)
        np.testing.assert_array_equal(saved["images"], expected)
    with pytest.raises(UserError, match="at most 1,024 images, got 1,025: .* file name in .npz"):
        runs.sample(num_samples=1025, output=tmp_path / "a.png", **options)
    np.save(tmp_path / "many.npy", np.full((1025, 8, 8, 3), 90, np.uint8))
    options = {"run_dir": run_dir, "num_levels": None, "seed": 0, "output": tmp_path / "r.png"}
    with pytest.raises(UserError, match="at most 1,024 images, got 1,025"):
        runs.reconstruct(images=tmp_path / "many.npy", num_images=2000, **options)


@pytest.mark.parametrize("run_dir", [None, 3])
def test_a_run_directory_that_is_no_path_is_named(run_dir):
    with pytest.raises(UserError, match=f"path of a run directory, got {run_dir}"):
        pcvae.load(run_dir)


def assert_equal_states(one, other):
    for group in ("model", "ema", "optimizer", "update"):
        expected = training.read_group(one / "checkpoints", group)
        found = training.read_group(other / "checkpoints", group)
        assert found.keys() == expected.keys()
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_a_signal_saves_a_checkpoint_that_resumes_bit_by_bit(
    finished, arrays, tmp_path, monkeypatch
):
    """A run of four steps that SIGINT stops after two becomes, with six, the run of six."""
    straight, record = finished
    progress_line = reports.progress_line

    def line(window, wording):
        if window.step == 2:
            signal.raise_signal(signal.SIGINT)
        return progress_line(window, wording)

    with monkeypatch.context() as patch:
        patch.setattr(reports, "progress_line", line)
        with pytest.raises(Interrupted, match="after step 2; checkpoint saved") as error:
            train(tmp_path, arrays, 4)
    assert error.value.signal_number == signal.SIGINT
    resumed = train(tmp_path, arrays, 6)
    assert_equal_states(straight, tmp_path)
    assert resumed == record
    steps = [line["step"] for line in read_scalar_lines(tmp_path / "summaries" / "train.jsonl")]
    assert steps == sorted(set(steps))


def test_a_finished_run_only_evaluates_again_and_needs_no_pictures(
    finished, arrays, tmp_path, capsys
):
    run_dir, record = finished
    run_dir = shutil.copytree(run_dir, tmp_path / "run")
    shutil.rmtree(run_dir / "images")
    (run_dir / "images").write_text("in the way of the pictures")
    (run_dir / "report.html").unlink()
    (run_dir / "report.html").mkdir()
    assert train(run_dir, arrays, 6) == record
    assert json.loads((run_dir / "results" / "evaluation.json").read_text()) == record
    error = capsys.readouterr().err
    assert "the pictures could not be made (FileExistsError: " in error
    assert "the report could not be made (IsADirectoryError: " in error


def test_nothing_is_written_when_the_configuration_is_refused(arrays, tmp_path):
    def refuse():
        raise UserError("refused")

    for hook in ("on_assembled", "on_start"):
        with pytest.raises(UserError, match="refused"):
            train(tmp_path / "run", arrays, 2, **{hook: refuse})
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["steps", "batch_size", "report_every_steps", "max_checkpoints"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_counts_are_checked(arrays, tmp_path, name, value):
    arguments = {"steps": 2, name: value}
    with pytest.raises(UserError, match=f"{name}: .*got {value}"):
        train(tmp_path / "run", arrays, **arguments)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", True])
def test_a_seed_that_does_not_fit_is_refused_before_anything_is_made(arrays, tmp_path, seed):
    with pytest.raises(UserError, match=f"seed: .*got {seed!r}"):
        train(tmp_path / "run", arrays, 2, seed=seed)
    assert not (tmp_path / "run").exists()


def test_a_run_directory_that_is_a_file_is_refused_before_anything_is_made(arrays, tmp_path):
    (tmp_path / "file").write_text("")

    def never(**_):
        raise AssertionError("made")

    for place in ("file", "file/run"):
        with pytest.raises(UserError, match="expected a folder or a new path, but .* is a file"):
            train(tmp_path / place, arrays, 2, model_fn=never)
    for place in (None, ""):
        with pytest.raises(UserError, match="run_dir: expected the path of a folder"):
            train(place, arrays, 2, model_fn=never)


def test_another_model_in_the_same_directory_is_refused_and_nothing_lost(
    finished, arrays, tmp_path
):
    run_dir, _ = finished
    before = {path: path.read_bytes() for path in run_dir.rglob("ckpt*")}
    model_json = (run_dir / "model.json").read_text()
    with pytest.raises(UserError, match="does not fit this run; .*: use another --run_dir"):
        train(run_dir, arrays, 8, model_fn=lambda image_shape: models.small_vdvae(image_shape))
    assert {path: path.read_bytes() for path in run_dir.rglob("ckpt*")} == before
    assert (run_dir / "model.json").read_text() == model_json


def test_a_batch_that_no_memory_holds_is_refused_before_anything_is_made(arrays, tmp_path):
    with pytest.raises(UserError, match="batch_size=1000000000 takes .* GiB.*smaller"):
        train(tmp_path / "run", arrays, 2, batch_size=10**9)
    assert not (tmp_path / "run").exists()
