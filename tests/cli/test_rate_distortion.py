"""pcvae-rate-distortion: what its flags ask of pcvae.runs, and what it refuses."""

import pytest

from pcvae.cli.commands import rate_distortion
from pcvae.cli.commands.rate_distortion import parse_prefixes


def test_it_hands_on_its_flags(stand_in, run_dir):
    assert rate_distortion.main([f"--run_dir={run_dir}"]) == 0
    argv = ["--refit_steps=9", "--prefixes=4x4,3", "--refit_learning_rate=0.1", "--split=train"]
    argv += ["--refit_from_scratch", "--num_images=2", "--seed=5", "--data=synthetic"]
    argv += ["--per_image=a.npz", "--batch_size=4"]
    assert rate_distortion.main([f"--run_dir={run_dir}", *argv]) == 0
    default, given = stand_in.calls
    assert default == {
        "run_dir": run_dir,
        "refit_steps": 0,
        "prefixes": None,
        "refit_learning_rate": 4e-3,
        "refit_from_scratch": False,
        "split": "test",
        "num_images": None,
        "seed": 0,
        "spec": None,
        "per_image": None,
        "batch_size": None,
    }
    assert given == {
        "run_dir": run_dir,
        "refit_steps": 9,
        "prefixes": ["4x4", 3],
        "refit_learning_rate": 0.1,
        "refit_from_scratch": True,
        "split": "train",
        "num_images": 2,
        "seed": 5,
        "spec": "synthetic",
        "per_image": "a.npz",
        "batch_size": 4,
    }


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--refit_steps=-1"], "refit_steps"),
        (["--refit_steps=x"], "refit_steps"),
        (["--prefixes=4y4"], "expected resolutions such as 4x4,8x8"),
        (["--prefixes="], "expected resolutions"),
        (["--prefixes=1,,2"], "got ''"),
        (["--refit_from_scratch"], "needs --refit_steps"),
        (["--split=all"], "split"),
        (["--num_images=0"], "num_images"),
        (["--batch_size=0"], "batch_size"),
        (["--per_image=a.npy"], "expected a file name in .npz"),
        (["--refit_step=3"], "did you mean --refit_steps"),
    ],
)
def test_mistakes_are_one_line(stand_in, run_dir, fails, argv, says):
    assert says in fails(rate_distortion.main, f"--run_dir={run_dir}", *argv)
    assert not stand_in.calls


def test_a_run_must_be_there(stand_in, tmp_path, fails):
    assert "--run_dir is missing" in fails(rate_distortion.main)
    assert "holds no model.json" in fails(rate_distortion.main, f"--run_dir={tmp_path}")


def test_prefixes_are_numbers_or_resolutions():
    assert parse_prefixes(None) is None
    assert parse_prefixes("4x4, 8x8,3") == ["4x4", "8x8", 3]
