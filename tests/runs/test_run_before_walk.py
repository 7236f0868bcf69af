"""Runs made before all models were one walk: they compute, evaluate, export and go on as they did.

`tests/goldens/README.md` says how the numbers were made.
"""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

import pcvae
from pcvae import data, models, runs
from pcvae.cli.commands import train
from pcvae.data import synthetic
from pcvae.training import reports

pytestmark = pytest.mark.slow

GOLDENS = Path(__file__).parents[1] / "goldens"
EXPECTED = json.loads((GOLDENS / "run_before_walk_expected.json").read_text())
# The quickstart of that time.
QUICKSTART = {
    "TRAIN_STEPS": 1300,
    "BATCH_SIZE": 32,
    "LEARNING_RATE": 4e-3,
    "WARMUP_STEPS": 30,
    "KL_WARMUP_STEPS": 0,
    "MIN_WIDTH": 24,
    "models.small_vdvae.bottleneck": 0.5,
}
MODELS = ["staged", "conditional", "conditional_image", "prefix_decoders", "unshared_prefix"]


@pytest.fixture(scope="module")
def model():
    return pcvae.load(GOLDENS / "run_before_walk")


@pytest.fixture(scope="module")
def arrays():
    with np.load(GOLDENS / "run_before_walk_expected.npz") as found:
        return dict(found)


@pytest.fixture(scope="module")
def images():
    with np.load(GOLDENS / "run_before_walk_pictures.npz") as found:
        return found["test"]


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    """A copy beside its pictures, which it names relative to the working directory."""
    shutil.copy(GOLDENS / "run_before_walk_pictures.npz", tmp_path / "pictures.npz")
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(GOLDENS / "run_before_walk", tmp_path / "run"))


def losses(run_dir, after=0):
    lines = (run_dir / "summaries" / "train.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [record["loss"] for record in records if record["step"] > after]


def test_it_gives_the_same_images_and_latents(model, arrays, images):
    assert models.weights_sha256(model) == EXPECTED["weights_sha256"]
    latents = model.encode(images, seed=3)
    for index, latent in enumerate(latents):
        np.testing.assert_allclose(latent, arrays[f"level_{index:03d}"], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(model.sample(6, 0.8, seed=5), arrays["samples"])
    np.testing.assert_array_equal(model.reconstruct(images, seed=3), arrays["reconstructions"])
    np.testing.assert_array_equal(model.reconstruct(images, 2, seed=3), arrays["prefix"])
    np.testing.assert_array_equal(model.decode(latents, seed=3), arrays["decoded"])


def test_it_gives_the_same_rates(model, images):
    rates = model.rate_per_level(images, seed=3)
    np.testing.assert_allclose(rates, EXPECTED["rates"], rtol=1e-5, atol=1e-6)


def test_its_evaluation_has_the_same_keys_and_numbers(run_dir):
    path = run_dir / "results" / "evaluation.json"
    before = json.loads(path.read_text())
    before["data"]["spec"] = f"arrays:{run_dir.with_name('pictures.npz')}"
    path.unlink()
    runs.evaluate(run_dir=run_dir)
    after = json.loads(path.read_text())
    assert after.keys() == before.keys() | {"step"}  # which records of that time did not say
    assert after["step"] == 40
    for key, value in before.items():
        if isinstance(value, float) or key.startswith("rate_nats_per_level"):
            np.testing.assert_allclose(after[key], value, rtol=1e-5, atol=1e-6, err_msg=key)
        else:
            assert after[key] == value, key


def test_it_exports(run_dir, tmp_path):
    record = runs.export(run_dir=run_dir, output=tmp_path / "exported")
    assert record["error"] is None


def test_it_goes_on_with_the_same_losses(run_dir, eagerly):
    arguments = ["--gin_file=run/config.gin", "--run_dir=run", "--gin.TRAIN_STEPS=44"]
    assert train.main([*arguments, "--allow_config_change"]) == 0
    np.testing.assert_allclose(losses(run_dir, after=40), EXPECTED["resumed_losses"], rtol=1e-5)


def test_the_quickstart_starts_with_the_same_losses(tmp_path, monkeypatch):
    """Its first 20 steps; Ctrl-C ends it then. Only the pictures of these steps are drawn."""
    run_dir, progress_line = tmp_path / "run", reports.progress_line
    seen = {int(i) for step in range(20) for i in data.batch_indices(0, step, 32, 20_000)}
    draw, blank = synthetic.draw_image, np.zeros((16, 16, 3), np.uint8)
    monkeypatch.setenv("PCVAE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(
        synthetic,
        "draw_image",
        lambda seed, split, index, size: draw(seed, split, index, size) if index in seen else blank,
    )

    def line(window, wording):
        if window.step == 20:
            signal.raise_signal(signal.SIGINT)
        return progress_line(window, wording)

    monkeypatch.setattr(reports, "progress_line", line)
    arguments = [f"--gin.{name}={value}" for name, value in QUICKSTART.items()]
    arguments += ["--gin.REPORT_EVERY_STEPS=1", f"--run_dir={run_dir}"]
    assert train.main(["--gin_file=experiments/quickstart.gin", *arguments]) == 128 + signal.SIGINT
    np.testing.assert_allclose(losses(run_dir), EXPECTED["quickstart_losses"], rtol=1e-5)


def without_newer_arguments(record):
    """Returns a JSON object without what the golden models could not say yet."""
    if "decoder_blocks" in record:
        assert record.pop("recompute") is record.pop("posterior") is None
    return record


@pytest.mark.parametrize("name", MODELS)
def test_a_record_builds_the_model_with_its_weights(name, tmp_path):
    """The names and shapes are those that checkpoints of it hold.

    It is written as it was read, but for the names of newer arguments.
    """
    path = GOLDENS / "models_before_walk" / f"{name}.json"
    shapes = json.loads(path.with_name(f"{name}_weights.json").read_text())
    model = models.read_model(path)
    assert {key: list(weight.shape) for key, weight in model.named_weights.items()} == shapes
    models.write_model(model, tmp_path / "model.json")
    written = (tmp_path / "model.json").read_text()
    assert json.loads(written, object_hook=without_newer_arguments) == json.loads(path.read_text())
