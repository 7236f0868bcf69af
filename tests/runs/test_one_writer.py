"""Who writes into a run directory is alone there, and ends when the directory goes away."""

import os
import shutil

import numpy as np
import pytest

from pcvae import data, locks, models, objectives, runs, training
from pcvae.errors import UserError
from pcvae.runs.one_writer import one_writer
from pcvae.runs.run_directory import RunDirectory
from tests.models import tiny

pytestmark = pytest.mark.usefixtures("eagerly", "few_pictures")


def train(run_dir, **changes):
    np.save(run_dir.parent / "images.npy", tiny.random_images(40))
    arguments = {
        "run_dir": run_dir,
        "dataset": data.from_spec(f"arrays:{run_dir.parent}/images.npy"),
        "model_fn": lambda image_shape: models.VDVAE(**tiny.ARGUMENTS),
        "objective_fn": objectives.NegativeELBO,
        "optimizer_fn": lambda: training.AdamW(learning_rate=1e-3, warmup_steps=0),
        "update_fn": training.GradientUpdate,
        "trainer_fn": training.Trainer,
        "steps": 4,
        "batch_size": 4,
        "checkpoint_every_steps": 2,
    }
    return runs.train(**{**arguments, **changes})


@pytest.mark.parametrize(
    "write",
    [train, lambda run_dir: runs.fit_prefix_decoders(run_dir=run_dir, steps=1)],
    ids=["train", "fit"],
)
def test_who_comes_second_is_refused_and_writes_nothing(tmp_path, write):
    with locks.hold(tmp_path / "run", "training"):
        with pytest.raises(locks.Held, match=f"training .pid {os.getpid()} on"):
            write(tmp_path / "run")
        assert os.listdir(tmp_path / "run") == [locks.FILE_NAME]


def test_a_directory_that_is_deleted_ends_the_training_at_the_next_checkpoint(tmp_path):
    run_dir = tmp_path / "run"

    def delete(**arguments):
        trainer = training.Trainer(**arguments)
        step = trainer.step

        def step_and_delete(batch):
            if trainer.steps_taken == 2:
                shutil.rmtree(run_dir)
            return step(batch)

        trainer.step = step_and_delete
        return trainer

    with pytest.raises(UserError, match="deleted or moved while its training went on") as error:
        train(run_dir, trainer_fn=delete)
    assert "\n" not in str(error.value)
    assert not run_dir.exists()


def test_only_the_chief_holds_the_lock(tmp_path, monkeypatch):
    held = []

    @one_writer("training")
    def write(*, run_dir, strategy=None):
        held.append(os.path.exists(os.path.join(run_dir, locks.FILE_NAME)))
        RunDirectory(run_dir).check_still_there()

    write(run_dir=tmp_path)
    monkeypatch.setattr(training, "is_chief", lambda strategy: False)
    write(run_dir=tmp_path)
    assert held == [True, False]


@pytest.mark.slow
def test_a_run_whose_checkpoints_are_gone_does_not_start_anew_in_silence(tmp_path, capsys):
    train(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    before = (tmp_path / "run" / "summaries" / "train.jsonl").read_text()
    with pytest.raises(UserError, match="ckpt-4, the last one that was saved, is missing"):
        train(tmp_path / "run")
    (tmp_path / "run" / "checkpoints.json").unlink()  # older runs have none
    with pytest.raises(UserError, match="was finished, and there is no checkpoint any more"):
        train(tmp_path / "run")
    assert (tmp_path / "run" / "summaries" / "train.jsonl").read_text() == before
    shutil.rmtree(tmp_path / "run" / "results")
    capsys.readouterr()
    train(tmp_path / "run")
    assert "while the log goes to step 4" in capsys.readouterr().out
