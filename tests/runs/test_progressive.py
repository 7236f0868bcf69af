"""The progressive view of a run: its files, and what it refuses."""

import json

import numpy as np
import pytest

from pcvae import runs
from pcvae.cli.commands import progressive
from tests.runs.untrained_run import write_run


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    np.savez(folder / "images.npz", train=images, validation=images, test=images)
    return write_run(folder / "run", folder / "images.npz")


def test_pictures_numbers_and_the_report(run_dir, capsys):
    runs.evaluate(run_dir=run_dir)
    assert progressive.main([f"--run_dir={run_dir}", "--num_images=2", "--num_samples=1"]) == 0
    written = capsys.readouterr().out
    page = (run_dir / "report.html").read_text()
    for name in ("progressive_reconstructions", "progressive_samples", "rate_maps"):
        assert (run_dir / "images" / f"{name}.png").stat().st_size > 0
        assert f"{name}.png" in written
    assert page.count("<img") == 3
    record = json.loads((run_dir / "results" / "progressive.json").read_text())
    assert [row["num_levels"] for row in record] == [1, 3]
    assert all(len(row["bits"]) == len(row["psnr_db"]) == 2 for row in record)
    assert record[0]["bits"] < record[1]["bits"]


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--num_images=4", "num_images: the test split has 3 images, got 4"),
        ("--num_images=0", "--num_images: expected a whole number of at least 1 and at most 32"),
        ("--temperature=-1", "--temperature: expected a number of at least 0"),
    ],
)
def test_what_does_not_fit_is_refused(run_dir, flag, says, capsys):
    assert progressive.main([f"--run_dir={run_dir}", flag]) == 2
    assert says in capsys.readouterr().err
