"""pcvae-import-openai: the model from a preset or gin files, the data from either or a flag."""

import pytest

from pcvae import gin_utils
from pcvae.cli.commands.import_openai import PRESETS, main


def test_gin_files_give_model_and_data(stand_in, capsys):
    argv = ["--weights=w.npz", "--output=new", "--gin_file=exp.gin", "--gin.runs.Model.width=5"]
    assert main(argv) == 0
    assert main([*argv, "--data=folder:x"]) == 0
    assert capsys.readouterr().out == "wrote new\n" * 2
    first, second = stand_in.calls
    assert first["dataset"].spec == "synthetic" and first["spec"] is None
    assert second["dataset"] is None and second["spec"] == "folder:x"
    for call in stand_in.calls:
        assert (call["weights"], call["output"]) == ("w.npz", "new")
        assert call["model_fn"]().width == 5


def test_presets_are_the_published_models():
    shipped = gin_utils.shipped_gin_folder()
    names = {path.stem.removeprefix("vdvae_") for path in (shipped / "models").glob("vdvae_*.gin")}
    assert set(PRESETS) == names
    for files in PRESETS.values():
        assert all((shipped / file).exists() for file in files)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--output=new", "--preset=cifar10"], "--weights is missing"),
        (["--weights=w.npz", "--preset=cifar10"], "--output is missing"),
        (["--weights=w.npz", "--output=new"], "either --preset, of cifar10, "),
        (["--weights=w.npz", "--output=n", "--preset=cifar10", "--gin_file=exp.gin"], "either"),
        (["--weights=w.npz", "--output=new", "--preset=mnist"], "expected one of cifar10"),
        (["--weights=w.npz", "--output=new", "--gin_file=empty.gin"], "does not bind runs.train"),
    ],
)
def test_mistakes_are_one_line(stand_in, tmp_path, fails, argv, says):
    (tmp_path / "empty.gin").write_text("")
    assert says in fails(main, *argv)
    assert not stand_in.calls
