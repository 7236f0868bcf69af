"""A run on a frozen first stage: what it leaves, resuming, and what it refuses."""

import json

import numpy as np
import pytest

import pcvae
from pcvae import data, models, objectives, runs, training
from pcvae.errors import UserError
from tests.models import tiny

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_eagerly", "few_pictures")]


def first_fn(image_shape):
    return models.VDVAE(
        **{**tiny.ARGUMENTS, "image_shape": image_shape}, head="linear", num_latent_levels=1
    )


def later_fn(**arguments):
    return models.ConditionalVDVAE(**{**tiny.ARGUMENTS, **arguments})


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, images=tiny.random_images(60))
    return path


def train(run_dir, arrays, steps, **changes):
    arguments = {
        "run_dir": run_dir,
        "dataset": data.from_spec(f"arrays:{arrays}"),
        "model_fn": first_fn,
        "objective_fn": lambda: objectives.ConstrainedDistortion(0.3),
        "optimizer_fn": lambda: training.AdamW(learning_rate=1e-2, warmup_steps=2),
        "update_fn": training.GradientUpdate,
        "trainer_fn": training.Trainer,
        "steps": steps,
        "batch_size": 4,
        "report_every_steps": 2,
        "evaluate_every_steps": 4,
        "checkpoint_every_steps": 2,
        "images_every_steps": 4,
    }
    return runs.train(**{**arguments, **changes})


def second(first):
    """Returns what makes a run one on a frozen first stage, which a function gives."""

    def model_fn(image_shape):
        return models.staged_on(image_shape, first(), later_fn)

    return {
        "model_fn": model_fn,
        "objective_fn": objectives.NegativeELBO,
        "trainer_fn": training.Trainer,
    }


@pytest.fixture(scope="module")
def first_stage(tmp_path_factory, arrays):
    run_dir = tmp_path_factory.mktemp("first") / "run"
    train(run_dir, arrays, 2)
    return run_dir


@pytest.fixture(scope="module")
def finished(tmp_path_factory, arrays, first_stage):
    run_dir = tmp_path_factory.mktemp("second") / "run"
    return run_dir, train(run_dir, arrays, 4, **second(lambda: runs.load(first_stage)))


def test_the_results_prove_that_the_first_stage_stayed(finished, first_stage):
    run_dir, record = finished
    written = json.loads((run_dir / "results" / "evaluation.json").read_text())
    before, after = (written[f"frozen_weights_sha256_{when}"] for when in ("before", "after"))
    assert before == after == record["frozen_weights_sha256_after"]
    loaded, first = pcvae.load(run_dir), pcvae.load(first_stage)
    for name, weight in first.named_weights.items():
        np.testing.assert_array_equal(loaded.named_weights[f"stage_0/{name}"], weight)
    # Checkpoints hold nothing of it, neither weights nor averages nor slots.
    for group in ("model", "ema", "optimizer"):
        names = training.read_group(run_dir / "checkpoints", group)
        assert not [name for name in names if "stage_0/" in name]


def test_a_composed_run_offers_what_every_run_offers(finished, tmp_path):
    run_dir, record = finished
    model = pcvae.load(run_dir)
    assert model.num_levels == len(record["rate_nats_per_level"]) == 3
    again = runs.evaluate(run_dir=run_dir, output=tmp_path / "evaluation.json")
    assert again["negative_elbo_bits_per_dim"] == record["negative_elbo_bits_per_dim"]
    rows = runs.rate_distortion(run_dir=run_dir, num_images=4)
    assert [row["num_levels"] for row in rows if row["decoder"] == "prior"] == [1, 2, 3]
    options = {"num_samples": 3, "stage_temperatures": (0.5, 0.7), "seed": 2}
    runs.sample(run_dir=run_dir, **options, output=tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as arrays:
        expected = model.sample(3, [0.5, 0.7, 0.7], seed=2)
        np.testing.assert_array_equal(arrays["images"], expected)


def test_a_stopped_second_stage_goes_on_bit_by_bit(finished, arrays, first_stage, tmp_path):
    for steps in (2, 4):
        train(tmp_path / "run", arrays, steps, **second(lambda: runs.load(first_stage)))
    expected = training.read_group(finished[0] / "checkpoints", "model")
    for name, array in training.read_group(tmp_path / "run" / "checkpoints", "model").items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_a_first_stage_with_other_weights_is_refused(finished, arrays):
    run_dir, _ = finished
    kept = {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")}
    with pytest.raises(UserError, match="begun with other weights of the first stage"):
        train(run_dir, arrays, 5, **second(lambda: first_fn(tiny.IMAGE_SHAPE)))
    assert {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")} == kept


def test_only_a_frozen_first_stage_can_be_cached(arrays, tmp_path):
    with pytest.raises(UserError, match="cache_first_stage: only a frozen first stage"):
        train(tmp_path / "plain", arrays, 2, cache_first_stage=True)
