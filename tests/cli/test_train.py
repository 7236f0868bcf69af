"""pcvae-train: defaults, precedence, the data shorthand, and the refusals."""

import os
import signal

import pytest

from pcvae.cli.commands.train import default_run_dir, main
from pcvae.errors import Interrupted, UserError


def _last(stand_in):
    return stand_in.calls[-1]


def test_without_flags_the_quickstart_is_run(stand_in):
    assert main([]) == 0
    assert _last(stand_in)["run_dir"] == os.path.join("runs", "quickstart")
    assert _last(stand_in)["steps"] == 100
    assert "TRAIN_STEPS = 100" in _last(stand_in)["text"]
    assert sorted(os.listdir("runs/quickstart")) == ["config.gin", "operative_config.gin"]


def test_flags_override_files_and_the_directory_takes_the_name_of_the_file(stand_in):
    assert main(["--gin_file=exp.gin", "--gin.TRAIN_STEPS=7", "--gin.runs.Model.width=3"]) == 0
    assert _last(stand_in)["steps"] == 7
    assert _last(stand_in)["model"].width == 3
    assert _last(stand_in)["run_dir"] == os.path.join("runs", "exp")


def test_files_repeat_and_statements_may_be_given_whole(stand_in, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "late.gin").write_text("TRAIN_STEPS = 9\n")
    argv = ["--gin_file=exp.gin", "--gin_file=late.gin", "--gin_search_path=more", "--run_dir=r"]
    assert main(argv) == 0
    assert _last(stand_in)["steps"] == 9
    assert main([*argv[:-1], "--run_dir=s", "--gin_bindings=TRAIN_STEPS = 11"]) == 0
    assert _last(stand_in)["steps"] == 11


@pytest.mark.parametrize(
    "spec", ["synthetic", "folder:a b/it's", "arrays:digits.npz", 'tfds:"x"\\n']
)
def test_data_names_the_dataset(stand_in, spec, tmp_path):
    (tmp_path / "a b" / "it's").mkdir(parents=True)
    (tmp_path / "digits.npz").touch()
    assert main([f"--data={spec}"]) == 0
    assert _last(stand_in)["dataset"].spec == spec


def test_data_gets_a_directory_of_its_own():
    names = [
        default_run_dir("experiments/quickstart.gin", data)
        for data in (None, "synthetic", "folder:/a/photos", "folder:/a/photos/", "arrays:x/d g.npz")
    ]
    assert [os.path.basename(name) for name in names] == [
        "quickstart",
        "quickstart-synthetic",
        "quickstart-folder-photos",
        "quickstart-folder-photos",
        "quickstart-arrays-d-g",
    ]


def test_a_gin_file_that_ignores_the_data_is_told(stand_in, tmp_path, fails):
    (tmp_path / "own.gin").write_text(
        "from __gin__ import dynamic_registration\nimport stand_in_runs as runs\n"
        "include 'exp.gin'\nruns.train.dataset = @runs.Model()\n"
    )
    message = fails(main, "--gin_file=own.gin", "--data=folder:x")
    assert "data.from_spec.spec (--gin.data.from_spec.spec: nothing built from_spec)" in message


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--gin.TRAIN_STEP=5"], "nothing uses TRAIN_STEP; did you mean TRAIN_STEPS"),
        (["--gin.TRAIN_STEPS=many"], "TRAIN_STEPS takes a number"),
        (["--gin.runs.Model.widht=5"], "did you mean width"),
        (["--gin.runs.Model.image_shape=(1, 1, 1)"], "the program sets 'image_shape' itself"),
        (["--gin_file=nowhere.gin"], "no gin file 'nowhere.gin'"),
        (["--gin_search_path=nowhere"], "--gin_search_path=nowhere: there is no such folder"),
        (["--gin_search_path=exp.gin"], "--gin_search_path=exp.gin: there is no such folder"),
        (["--gin.TRAIN_STEPS", "5"], "write --gin.TRAIN_STEPS=VALUE"),
        (["--gni_file=exp.gin"], "did you mean --gin_file"),
        (["--run_dir=exp.gin"], "--run_dir=exp.gin: expected a folder or a new path, but this is"),
        (["--run_dir=exp.gin/run"], "exp.gin is a file"),
        (["--run_dir=experiments"], "found quickstart.gin: use another --run_dir"),
        (["--run_dir=experiments", "--allow_config_change"], "found quickstart.gin: use another"),
    ],
)
def test_mistakes_are_one_line_and_train_nothing(stand_in, tmp_path, fails, argv, says):
    assert says in fails(main, *argv)
    assert not stand_in.calls
    assert not os.path.exists("runs/quickstart/config.gin")


def test_a_configuration_is_shown_once_and_anew_when_it_changes(stand_in):
    for arguments in ([], [], ["--gin.TRAIN_STEPS=7", "--allow_config_change"]):
        assert main(arguments) == 0
    first, again, changed = (call["text"] for call in stand_in.calls)
    assert "TRAIN_STEPS = 100" in first and again is None and "TRAIN_STEPS = 7" in changed


def test_another_configuration_in_the_same_directory_is_refused(stand_in, fails):
    assert main([]) == 0
    assert main([]) == 0
    message = fails(main, "--gin.TRAIN_STEPS=50")
    assert "TRAIN_STEPS: 100 -> 50" in message
    assert "--allow_config_change" in message
    assert len(stand_in.calls) == 2
    assert main(["--gin.TRAIN_STEPS=50", "--allow_config_change"]) == 0
    assert main(["--gin.TRAIN_STEPS=50"]) == 0


def test_the_directory_is_made_before_the_images_are_read(stand_in, monkeypatch, fails):
    def train(*, run_dir, model_fn, dataset, steps, on_assembled, on_start):
        on_assembled()
        raise UserError("no images")

    train.__module__ = "stand_in_runs"
    monkeypatch.setattr(stand_in, "train", train)
    assert "no images" in fails(main)
    assert os.listdir("runs/quickstart") == []


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (Interrupted(signal.SIGTERM, "checkpoint saved"), 143, "pcvae: checkpoint saved\n"),
        (
            PermissionError(13, "Permission denied", "/x"),
            2,
            "pcvae: error: Permission denied: '/x'",
        ),
        (KeyboardInterrupt(), 130, "pcvae: interrupted\n"),
    ],
)
def test_what_training_raises_comes_through_gin_in_one_line(
    stand_in, monkeypatch, capsys, error, code, line
):
    def check_unused(self):
        raise error

    monkeypatch.setattr("pcvae.gin_utils.Configuration.check_unused", check_unused)
    assert main([]) == code
    err = capsys.readouterr().err
    assert err.startswith(line)
    assert err.count("\n") == 1
