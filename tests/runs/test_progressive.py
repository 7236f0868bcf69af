"""The progressive view of a run: its files, and what it refuses."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from pcvae import data, runs, show
from pcvae.cli.commands import progressive
from tests.runs.untrained_run import write_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    np.savez(folder / "images.npz", train=images, validation=images, test=images)
    return write_run(folder / "run", folder / "images.npz")


def test_pictures_numbers_and_the_report(run_dir, capsys, monkeypatch):
    runs.evaluate(run_dir=run_dir)
    # Loaded once: its graphs are traced once.
    model = runs.load(run_dir)
    module = sys.modules["pcvae.runs.progressive"]  # pcvae.runs.progressive is the function
    monkeypatch.setattr(module, "load", lambda run_dir, fallback: model)
    assert progressive.main([f"--run_dir={run_dir}", "--num_images=2", "--num_samples=1"]) == 0
    written = capsys.readouterr().out
    page = (run_dir / "report.html").read_text()
    with np.load(run_dir.parent / "images.npz") as arrays:
        images = arrays["test"][data.chosen_indices(0, 2, 3)]
    columns = show.progressive_reconstructions(model, images)
    pictures = {
        "progressive_reconstructions": show.reconstruction_picture(images, columns),
        "progressive_samples": show.sample_picture(model, show.progressive_samples(model, 1)),
        "rate_maps": show.rate_map_plot(images, show.bits_per_pixel_maps(model, images)),
    }
    for name, expected in pictures.items():
        shown = np.asarray(Image.open(run_dir / "images" / f"{name}.png"))
        np.testing.assert_array_equal(shown, expected)
        assert f"{name}.png" in written
    assert page.count("<img") == 3
    record = json.loads((run_dir / "results" / "progressive.json").read_text())
    assert [row["num_levels"] for row in record] == [1, 3]
    for row, column in zip(record, columns, strict=True):
        assert row["bits"] == column["bits"].tolist()
        assert row["psnr_db"] == column["psnr_db"].tolist()


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
