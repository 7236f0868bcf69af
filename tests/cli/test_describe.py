"""pcvae-describe: any gin file of pcvae-train, a file with the model alone, or a run."""

import pytest

from pcvae.cli.commands.describe import main


def test_a_gin_file_of_train_gives_model_and_dataset(stand_in, capsys):
    assert main(["--gin_file=exp.gin", "--gin.runs.Model.width=5"]) == 0
    assert capsys.readouterr().out == "width 5 shape (4, 4, 1) batch None in 1\n"
    assert not stand_in.calls


def test_a_model_file_alone_is_enough(stand_in, tmp_path, capsys):
    (tmp_path / "model.gin").write_text(
        "from __gin__ import dynamic_registration\nimport stand_in_runs as runs\n"
        "runs.train.model_fn = @runs.Model\nruns.Model.width = 6\n"
    )
    assert main(["--gin_file=model.gin"]) == 0
    assert capsys.readouterr().out == "width 6 shape (8, 8, 3) batch None in 1\n"


def test_a_run_describes_itself(stand_in, run_dir, capsys):
    assert main([f"--run_dir={run_dir}"]) == 0
    assert capsys.readouterr().out == f"run {run_dir} batch None\n"


def test_the_batch_is_that_of_the_gin_file_or_of_the_flag(stand_in, run_dir, tmp_path, capsys):
    (tmp_path / "batch.gin").write_text(
        "from __gin__ import dynamic_registration\nimport stand_in_runs as runs\n"
        "include 'exp.gin'\nBATCH_SIZE = 12\nruns.train.batch_size = %BATCH_SIZE\n"
        "PARTS = 3\nruns.train.trainer_fn = @runs.Trainer\nruns.Trainer.micro_batches = %PARTS\n"
    )
    assert main(["--gin_file=batch.gin"]) == 0
    assert capsys.readouterr().out.endswith("batch 12 in 3\n")
    assert main(["--gin_file=batch.gin", "--batch_size=6", "--gin.PARTS=2"]) == 0
    assert capsys.readouterr().out.endswith("batch 6 in 2\n")
    assert main([f"--run_dir={run_dir}", "--batch_size=5"]) == 0
    assert capsys.readouterr().out.endswith("batch 5\n")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "either --gin_file or --run_dir"),
        (["--gin_file=exp.gin", "--run_dir=run"], "either --gin_file or --run_dir"),
        (["--run_dir=run", "--gin.X=1"], "needs --gin_file"),
        (["--run_dir=nowhere"], "no such directory"),
        (["--gin_file=exp.gin", "--batch_size=0"], "batch_size"),
        (["--gin_file=empty.gin"], "empty.gin does not bind runs.train.model_fn"),
        (["--gin_file=exp.gin", "--gin.runs.Model.widht=5"], "did you mean width"),
    ],
)
def test_mistakes_are_one_line(stand_in, run_dir, tmp_path, fails, argv, says):
    (tmp_path / "empty.gin").write_text("")
    assert says in fails(main, *argv)
