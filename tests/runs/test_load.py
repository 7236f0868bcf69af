"""The model of a run: of which checkpoint it is, and what is no model to draw from."""

import json

import numpy as np
import pytest
import tensorflow as tf

import pcvae
from pcvae import runs, training
from pcvae.errors import UserError
from pcvae.runs.load import load_run
from tests.models import tiny
from tests.runs.untrained_run import write_run

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture
def run_dir(tmp_path):
    """A run with checkpoints of the steps 1 and 2."""
    shape = (12, *tiny.LARGER_ARGUMENTS["image_shape"])
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.savez(tmp_path / "images.npz", train=images, validation=images, test=images)
    for step in (1, 2):
        write_run(tmp_path / "run", tmp_path / "images.npz", seed=step, step=step)
    return tmp_path / "run"


def damage(run_dir):
    path = run_dir / "checkpoints" / "ckpt-2.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-100] + bytes(100))


def poison(run_dir, group, step=3):
    """Saves a checkpoint with a NaN in a group."""
    weights = training.read_group(run_dir / "checkpoints", "ema")
    state = {g: {n: tf.Variable(w) for n, w in weights.items()} for g in ("ema", "model")}
    variable = state[group]["decoder/gain"]
    variable.assign(tf.fill(variable.shape, np.nan))
    training.Checkpoints(run_dir / "checkpoints", state).save(step)


def test_the_step_is_told(run_dir, tmp_path, capsys):
    assert pcvae.load(run_dir).checkpoint_step == 2
    assert runs.evaluate(run_dir=run_dir)["step"] == 2
    assert json.loads((run_dir / "results" / "evaluation.json").read_text())["step"] == 2
    assert "averaged weights of step 2, seed 0" in capsys.readouterr().out
    runs.sample(run_dir=run_dir, num_samples=2, output=tmp_path / "samples.png")
    assert "averaged weights of step 2\n" in capsys.readouterr().out


def test_a_damaged_checkpoint_falls_back_to_the_one_before(run_dir, tmp_path, capsys):
    before = load_run(run_dir)
    damage(run_dir)
    with pytest.raises(UserError, match="ckpt-2 is damaged.*ckpt-1"):
        pcvae.load(run_dir, fallback=False)
    with pytest.raises(UserError, match="ckpt-2 is damaged"):
        runs.evaluate(run_dir=run_dir, fallback=False)
    with pytest.raises(UserError, match="ckpt-2 is damaged"):
        runs.sample(run_dir=run_dir, num_samples=2, output=tmp_path / "x.png", fallback=False)
    assert not (run_dir / "results").exists() and not (tmp_path / "x.png").exists()
    assert "ckpt" not in capsys.readouterr().err
    after = load_run(run_dir)
    assert (before.step, after.step) == (2, 1)
    images = (loaded.model.sample(2) for loaded in (before, after))
    assert not np.array_equal(*images)
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "ckpt-2 is damaged" in err and "ckpt-1" in err
    assert runs.evaluate(run_dir=run_dir)["step"] == 1


@pytest.mark.parametrize("use", ["load", "sample", "evaluate"])
def test_weights_that_are_no_numbers_draw_nothing(run_dir, tmp_path, use):
    poison(run_dir, "ema")
    use = {
        "load": lambda: pcvae.load(run_dir),
        "sample": lambda: runs.sample(run_dir=run_dir, num_samples=2, output=tmp_path / "x.png"),
        "evaluate": lambda: runs.evaluate(run_dir=run_dir),
    }[use]
    with pytest.raises(UserError, match="ckpt-3: NaN or infinity in ema/decoder/gain; .*ckpt-2"):
        use()
    assert not (tmp_path / "x.png").exists() and not (run_dir / "results").exists()


def test_what_training_alone_needs_is_told_and_does_no_harm(run_dir, capsys):
    poison(run_dir, "model")
    assert pcvae.load(run_dir).checkpoint_step == 3
    assert "NaN or infinity in model/decoder/gain, which training" in capsys.readouterr().err


def test_a_file_is_no_run(tmp_path):
    for name, remedy in (
        ("model.keras", "; keras.models.load_model reads .keras files"),
        ("x", ""),
    ):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(UserError) as told:
            pcvae.load(tmp_path / name)
        assert str(told.value).endswith(f"{name}: expected a run directory, got a file{remedy}")


def test_a_run_without_a_checkpoint(run_dir):
    for path in (run_dir / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="ckpt-2, the last one that was saved, is missing"):
        pcvae.load(run_dir)
    (run_dir / "checkpoints.json").unlink()
    with pytest.raises(UserError, match="no checkpoint in"):
        pcvae.load(run_dir)
    (run_dir / "model.json").unlink()
    with pytest.raises(UserError, match=r"expected a run directory with model.json"):
        pcvae.load(run_dir)
