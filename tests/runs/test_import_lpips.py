"""The file of LPIPS' weights, from state dicts to the record of an evaluation."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from pcvae import runs
from pcvae.cli.commands import evaluate, import_lpips
from pcvae.errors import UserError
from tests.runs.untrained_run import write_run

GOLDENS = Path(__file__).parents[1] / "goldens"


@pytest.fixture
def files(tmp_path):
    """A backbone as torchvision names it and linear layers as the package names them."""
    with np.load(GOLDENS / "lpips_vgg.npz") as arrays:
        state = {n.removeprefix("weight/"): arrays[n] for n in arrays if n.startswith("weight/")}
    backbone = {
        f"features.{name.split('.', 2)[2]}": array
        for name, array in state.items()
        if name.startswith("net.")
    }
    lins = {name: array for name, array in state.items() if name.startswith("lin")}
    np.savez(tmp_path / "vgg16.npz", **backbone, **{"classifier.0.bias": np.zeros(3)})
    np.savez(tmp_path / "vgg.npz", **lins)
    return tmp_path


def convert(files, **changes):
    names = {"backbone": "vgg16.npz", "lins": "vgg.npz", "output": "new/lpips.npz", **changes}
    return import_lpips.main([f"--{flag}={files / name}" for flag, name in names.items()])


def test_the_converted_file_gives_the_distances_of_the_reference(files, capsys):
    assert convert(files) == 0
    model, protocol = runs.read_lpips(files / "new" / "lpips.npz")
    assert (protocol["network"], protocol["weights"]) == ("vgg", "lpips.npz")
    assert protocol["sha256"] in capsys.readouterr().out
    with np.load(GOLDENS / "lpips_vgg.npz") as golden:
        distance = model(golden["first"], golden["second"])
        np.testing.assert_allclose(distance, golden["distance"], rtol=2e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lins": "vgg16.npz"}, "LPIPS: expected the convolutions"),
        ({"lins": "none.pth"}, "--lins=.*none.pth: there is no such file"),
        ({"backbone": "a.zip"}, "--backbone=.*a.zip: expected a file in .th, .pth, .pt, .npz"),
        ({"output": "x.pth"}, "--output=.*x.pth: expected a file name in .npz"),
    ],
)
def test_what_cannot_be_converted_leaves_nothing(files, capsys, changes, says):
    (files / "a.zip").touch()
    before = sorted(files.iterdir())
    assert convert(files, **changes) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(says, error)
    assert sorted(files.iterdir()) == before


def test_an_evaluation_holds_the_distances_and_their_protocol(files, tmp_path, capsys):
    assert convert(files) == 0
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", train=images, validation=images, test=images)
    run_dir = write_run(tmp_path / "run", tmp_path / "images.npz")
    argv = [f"--run_dir={run_dir}", "--perceptual", f"--lpips_weights={files}/new/lpips.npz"]
    assert evaluate.main(argv) == 0
    out = capsys.readouterr().out
    record = json.loads((run_dir / "results" / "evaluation.json").read_text())
    for name in ("ssim", "ms_ssim", "lpips"):  # 8x8 is too small for each of them
        assert record[name] is None
        assert re.search(rf"  none +{record[f'{name}_reason']}\n", out)
    assert record["perceptual_protocol"]["lpips"]["network"] == "vgg"
    assert "need 16 pixels a side, the images have 8x8" in (run_dir / "report.html").read_text()
    health = json.loads((run_dir / "results" / "health.json").read_text())
    assert "error" not in {finding["severity"] for finding in health}


def test_flags_that_do_not_go_together(files, tmp_path, capsys):
    run_dir = write_run(tmp_path / "run", "none.npz")
    assert evaluate.main([f"--run_dir={run_dir}", f"--lpips_weights={files}/vgg.npz"]) == 2
    assert "it needs --perceptual" in capsys.readouterr().err
    with pytest.raises(UserError, match="expected a file in .npz"):
        runs.read_lpips("alex.pth")
