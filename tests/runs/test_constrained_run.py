"""A run with three rate targets: what it says, and that it resumes its multipliers bit by bit."""

import json
import os
import sys
import textwrap

import numpy as np
import pytest

import pcvae
from pcvae import data, models, objectives, runs, training
from pcvae.errors import UserError
from pcvae.training.summaries import read_scalar_lines
from tests.fuzz import kill

# Two processes are compared below; that a graph gives the same bits again is TensorFlow's promise,
# and tests/runs/test_training_run.py looks at one.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_eagerly", "few_pictures")]

TARGETS = [0.01, 0.02, 0.03]
STEPS = 8


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "images.npz"
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    np.savez(path, images=images)
    return path


def three_groups(image_shape):
    return models.VDVAE(
        image_shape=image_shape,
        encoder_blocks="8d8,1x1",
        decoder_blocks="1x1,8m1,8x2",
        width=8,
        latent_width=2,
        head="linear",
        prefix_decoders=("1x1", 3),
    )


def train(run_dir, arrays, steps=STEPS, **changes):
    arguments = {
        "run_dir": run_dir,
        "dataset": data.from_spec(f"arrays:{arrays}"),
        "model_fn": three_groups,
        "objective_fn": lambda: objectives.ProgressiveCoding(TARGETS),
        "optimizer_fn": lambda: training.AdamW(learning_rate=1e-3, warmup_steps=2),
        "update_fn": training.GradientUpdate,
        "trainer_fn": training.Trainer,
        "steps": steps,
        "batch_size": 4,
        "report_every_steps": 2,
        "evaluate_every_steps": 4,
        "checkpoint_every_steps": 3,
        "images_every_steps": 100,
    }
    return runs.train(**{**arguments, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory, arrays, module_eagerly):
    run_dir = tmp_path_factory.mktemp("runs") / "straight"
    return run_dir, train(run_dir, arrays)


def test_the_record_says_of_every_prefix_whether_its_target_is_met(finished):
    run_dir, record = finished
    found = record["constraints"]
    assert [constraint["num_levels"] for constraint in found] == [1, 3, 4]
    assert [constraint["target"] for constraint in found] == TARGETS
    sums = np.cumsum(record["rate_nats_per_level"]) / 192
    for constraint, value in zip(found, sums[[0, 2, 3]], strict=True):
        np.testing.assert_allclose(constraint["value"], value)
        np.testing.assert_allclose(constraint["constraint_gap"], value - constraint["target"])
        assert constraint["statement"].startswith("constraint ")
    assert json.loads((run_dir / "results" / "evaluation.json").read_text()) == record


def test_evaluating_again_says_the_same_with_the_multipliers_of_the_checkpoint(finished):
    run_dir, record = finished
    assert runs.evaluate(run_dir=run_dir)["constraints"] == record["constraints"]


def test_scalars_have_a_tag_for_every_constraint(finished):
    run_dir, _ = finished
    line = read_scalar_lines(run_dir / "summaries" / "train.jsonl")[-1]
    multipliers = training.read_group(run_dir / "checkpoints", "lagrange")["values"]
    for k, target, multiplier in zip((1, 3, 4), TARGETS, multipliers, strict=True):
        np.testing.assert_allclose(line[f"lagrange/target_prefix_{k:03d}"], target, rtol=1e-6)
        assert line[f"lagrange/multiplier_prefix_{k:03d}"] == multiplier != 1.0
        assert f"lagrange/constraint_gap_prefix_{k:03d}" in line
        assert f"distortion/prefix_{k:03d}_mse" in line
    line = read_scalar_lines(run_dir / "summaries" / "eval.jsonl")[-1]
    assert "lagrange/constraint_gap_prefix_003" in line


def test_the_run_loads_with_its_prefix_decoders(finished, arrays):
    run_dir, _ = finished
    model = pcvae.load(run_dir)
    assert model.decoded_prefixes == (1, 3, 4)
    images = np.load(arrays)["images"][:2]
    np.testing.assert_array_equal(model.decode(model.encode(images)), model.reconstruct(images))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective_fn": lambda: objectives.ProgressiveCoding([0.1])}, "1 rate targets, but"),
        ({"objective_fn": objectives.NegativeELBO}, "take ProgressiveCoding"),
    ],
)
def test_parts_that_do_not_fit_write_nothing(tmp_path, arrays, changes, message):
    with pytest.raises(UserError, match=message):
        train(tmp_path / "run", arrays, **changes)
    assert not (tmp_path / "run").exists()


def test_a_killed_run_goes_on_with_every_bit_of_its_multipliers(finished, arrays, tmp_path):
    """SIGKILL falls at a seeded moment; then the run ends as the one that was left alone."""
    program = textwrap.dedent(
        f"""
        import importlib.util, sys
        spec = importlib.util.spec_from_file_location("constrained_run", {__file__!r})
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.train(sys.argv[1], {str(arrays)!r})
        """
    )
    straight_dir, _ = finished
    checkpoints = []

    def command(run_dir):
        checkpoints.append(len(list(run_dir.glob("checkpoints/ckpt-*.index"))))
        return [sys.executable, "-c", program, str(run_dir)]

    wrong = kill.check(
        make_run=lambda: tmp_path / "killed",
        command=command,
        kills=1,
        seed=0,
        environment={**os.environ, "PYTHONPATH": str(kill.OP_BY_OP)},
        expected=kill.state(straight_dir),
        seconds=0.5,
        lines=12,
    )
    assert wrong == []
    assert checkpoints[-1] > 0
