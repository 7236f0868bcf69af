"""Sampling a run: seeds, parts of a whole, ramps, folders and files."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pcvae import models, runs
from pcvae.errors import UserError
from pcvae.runs.load import load_run
from pcvae.runs.picture_output import PictureFolder, write_picture_or_arrays
from pcvae.runs.sample import _Conditions
from tests.models import tiny
from tests.no_room import no_room

GOLDEN = Path(__file__).parents[1] / "goldens" / "run_0_1_0"


@pytest.fixture(scope="module")
def loaded():
    return load_run(GOLDEN)


@pytest.fixture(scope="module")
def model(loaded):
    return loaded.model


@pytest.fixture
def draw(loaded, tmp_path, monkeypatch):
    """Samples the golden run into a file; returns the images."""
    # Loaded once: its graphs are traced once.
    module = sys.modules["pcvae.runs.sample"]  # pcvae.runs.sample is the function
    monkeypatch.setattr(module, "load_run", lambda run_dir, fallback: loaded)

    def call(**arguments):
        runs.sample(run_dir=GOLDEN, output=tmp_path / "x.npz", **arguments)
        with np.load(tmp_path / "x.npz") as arrays:
            return arrays["images"]

    return call


def test_parts_are_the_whole_to_the_last_bit(draw):
    whole = draw(num_samples=37, seed=3)
    np.testing.assert_array_equal(draw(num_samples=37, seed=3), whole)
    parts = [draw(num_samples=n, first_sample=first, seed=3) for first, n in ((0, 5), (5, 32))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert (draw(num_samples=37, seed=4) != whole).mean() > 0.5


def test_a_ramp_is_a_line_from_the_coarsest_level_to_the_finest(draw, model):
    line = [1.0, 0.8, 0.6, 0.4, 0.2, 0.0]
    ramp = draw(num_samples=16, temperature=1.0, last_temperature=0.0, seed=1)
    np.testing.assert_array_equal(ramp, model.sample(16, temperature=line, seed=1))
    assert (draw(num_samples=16, temperature=0.0, last_temperature=1.0, seed=1) != ramp).any()


def test_the_mean_of_the_head_at_temperature_zero_is_one_image(draw, model):
    images = draw(num_samples=3, temperature=0.0, pixels="mean")
    np.testing.assert_array_equal(images, np.repeat(images[:1], 3, axis=0))
    # It is what a reconstruction from no level gives, too.
    nothing = model.reconstruct(np.zeros((16, 8, 8, 3), np.uint8), 0)
    np.testing.assert_array_equal(images[0], nothing[0])


def test_a_folder_holds_one_picture_for_each_index(draw, tmp_path):
    whole = draw(num_samples=5, seed=2)
    folder = tmp_path / "many"
    for first, count in ((0, 2), (2, 3)):
        runs.sample(
            run_dir=GOLDEN,
            output=f"{folder}/",
            num_samples=count,
            first_sample=first,
            seed=2,
        )
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [f"00000{index}.png" for index in range(5)]
    np.testing.assert_array_equal(np.stack([np.asarray(Image.open(f)) for f in files]), whole)
    with pytest.raises(UserError, match="000004.png is there, and nothing is overwritten"):
        runs.sample(run_dir=GOLDEN, output=folder, num_samples=2**60, first_sample=4)


@pytest.mark.parametrize("name", ["x.npz", "x.NPZ", "x.png"])
def test_what_is_there_stays_until_the_new_one_is_whole(tmp_path, monkeypatch, name):
    output = tmp_path / name
    write_picture_or_arrays(output, lambda: np.zeros((2, 2, 3), np.uint8), images=np.arange(2))
    kept = output.read_bytes()

    def full_disk(*arguments, **named):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(UserError, match=f"{name} cannot be written: No space"):
        write_picture_or_arrays(output, lambda: np.ones((9, 9, 3), np.uint8), images=np.arange(9))
    assert output.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [output]


def test_a_grid_has_an_end(tmp_path):
    with pytest.raises(UserError, match="a picture holds at most 1,024 images, got 1,025"):
        runs.sample(run_dir=GOLDEN, output=tmp_path / "x.png", num_samples=1025)


def test_statistics_are_measured_anew_where_that_is_asked_for(tmp_path, monkeypatch, eagerly):
    model = tiny.random_weights(models.NVAE(**tiny.ARGUMENTS, head="gaussian"))
    module = sys.modules["pcvae.runs.sample"]
    monkeypatch.setattr(module, "load_run", lambda run_dir, fallback: (model, 1, None))
    arguments = {"num_samples": 16, "temperature": 0.5, "output": tmp_path / "x.npz"}
    runs.sample(**arguments, recalibrate_batches=2)
    images = np.load(tmp_path / "x.npz")["images"]
    expected = model.recalibrated(0.5, 2, batch_size=16).sample(16, 0.5)
    np.testing.assert_array_equal(images, expected)
    assert (images != model.sample(16, 0.5)).any()
    with pytest.raises(UserError, match="recalibrate_batches: the weights of an export stay"):
        runs.sample(**arguments, export="folder", recalibrate_batches=2)


def test_conditions_by_index():
    label = tiny.conditional(condition="label", num_classes=3).condition
    given = _Conditions("2,0", label).of(range(3, 6))["condition"]
    assert given.tolist() == [0, 2, 0]
    for text, says in (
        ("3", r"labels from 0 to 2, got \[3\]"),
        ("cat", "such as 0,1,2"),
        (None, "--condition"),
    ):
        with pytest.raises(UserError, match=says):
            _Conditions(text, label)
    with pytest.raises(UserError, match="this model takes none"):
        _Conditions("1", None)
    assert _Conditions(None, None).of(range(2)) == {}


def test_arguments_are_checked(draw):
    for arguments, says in (
        ({"num_samples": 0}, "num_samples: .*got 0"),
        ({"num_samples": 1, "first_sample": -1}, "first_sample: .*got -1"),
        ({"num_samples": 10**20}, "num_samples"),
        ({"num_samples": 1, "first_sample": 10**20}, "first_sample"),
        ({"num_samples": 10**13}, "images, this process may take .*: draw into a folder"),
        (
            {"num_samples": 1, "batch_size": 10**13},
            "batch_size=10000000000000 takes .* give a smaller one",
        ),
        ({"num_samples": 1, "seed": -1}, "seed: .*got -1"),
        ({"num_samples": 1, "batch_size": -2}, "batch_size: .*got -2"),
        ({"num_samples": 1, "pixels": "none"}, "pixels: .*got 'none'"),
        ({"num_samples": 1, "temperature": [1.0]}, r"temperature: .*got \[1.0\]"),
        ({"num_samples": 1, "recalibrate_batches": -1}, "recalibrate_batches: .*got -1"),
        ({"num_samples": 1, "recalibrate_batches": 1}, "samples of .* no moving statistics"),
    ):
        with pytest.raises(UserError, match=says):
            draw(**arguments)


def test_a_folder_without_room_keeps_what_is_drawn_and_says_how_to_go_on(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    images = np.stack([np.zeros_like(noise), noise])  # the first one takes little
    with no_room(1000), pytest.raises(UserError) as error:
        PictureFolder(tmp_path, range(3, 8)).write(4, images)
    remedy = "go on with --first_sample=5 --num_samples=3"
    assert str(error.value).startswith(f"{tmp_path / '000005.png'} cannot be written: ")
    assert str(error.value).endswith(remedy)
    assert [path.name for path in tmp_path.iterdir()] == ["000004.png"]
    PictureFolder(tmp_path, range(5, 8)).write(5, images[1:])  # with room
