"""Latents on disk, and the grids of edits, on the golden run."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pcvae import data, runs, show
from pcvae.errors import UserError
from pcvae.runs import latents
from tests.show.cells import ROW, TEXT, assert_row

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_eagerly")]

GOLDENS = Path(__file__).parents[1] / "goldens"
GOLDEN = GOLDENS / "run_0_1_0"
IMAGES = GOLDENS / "run_0_1_0_expected.npz"
SEED = 3


@pytest.fixture(scope="module")
def model():
    return runs.load(GOLDEN)


@pytest.fixture(autouse=True)
def _loaded_once(model, monkeypatch):
    monkeypatch.setattr(latents, "load", lambda run_dir, fallback: model)


@pytest.fixture
def images():
    with np.load(IMAGES) as arrays:
        return arrays["images"]


@pytest.fixture
def given(tmp_path, images):
    """The arguments that name two files of three images."""
    for name, part in (("first", images[:3]), ("second", images[3:6])):
        np.savez(tmp_path / f"{name}.npz", images=part)
    return {"first": tmp_path / "first.npz", "second": tmp_path / "second.npz"}


def read(path, name="images"):
    with np.load(path) as arrays:
        return arrays[name]


def picture(path):
    return np.asarray(Image.open(path))


def test_latents_on_disk_decode_to_the_reconstruction(model, given, images, tmp_path):
    path, out = tmp_path / "z.npz", tmp_path / "x.npz"
    runs.encode(run_dir=GOLDEN, images=given["first"], output=path, seed=SEED)
    with np.load(path) as arrays:
        assert arrays.files == [f"level_{index:03d}" for index in range(6)]
        shapes = [arrays[name].shape for name in arrays.files]
        np.savez(tmp_path / "prefix.npz", **{name: arrays[name] for name in arrays.files[:2]})
    assert shapes == [(3, *shape) for shape in model.latent_shapes]
    runs.decode(run_dir=GOLDEN, latents=path, output=out)
    np.testing.assert_array_equal(read(out), model.reconstruct(images[:3], seed=SEED))
    runs.decode(run_dir=GOLDEN, latents=tmp_path / "prefix.npz", output=out)
    np.testing.assert_array_equal(read(out), model.reconstruct(images[:3], 2, seed=SEED))
    runs.decode(run_dir=GOLDEN, latents=path, output=tmp_path / "x.png")
    grid = show.image_grid(model.reconstruct(images[:3], seed=SEED))
    np.testing.assert_array_equal(picture(tmp_path / "x.png"), grid)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"level_001": np.zeros((1, 1, 1, 2))}, "expected the first of the levels level_000"),
        ({"level_000": np.zeros((1, 4, 1, 2))}, r"level_000 as floats \[num_images, 1, 1, 2\]"),
        ({"level_000": np.zeros((1, 1, 1, 2), int)}, "level_000 as floats"),
        ({"level_000": np.array([{}])}, "pickles are refused"),
        (
            {"level_000": np.zeros((1, 1, 1, 2)), "level_001": np.zeros((2, 1, 1, 2))},
            r"level_001 as floats \[1, 1, 1, 2\], as many images at each level; got .* \[2, ",
        ),
        (
            {**{f"level_{i:03d}": np.zeros(1) for i in range(9)}, "odd": np.zeros(1)},
            "got level_006, level_007, level_008, odd, level_000, .* and 2 more",
        ),
        ({"../../level_000": np.zeros((1, 1, 1, 2))}, "expected the first of the levels"),
    ],
)
def test_other_files_are_no_latents(tmp_path, arrays, says):
    np.savez(tmp_path / "z.npz", **arrays)
    with pytest.raises(UserError, match=says):
        runs.decode(run_dir=GOLDEN, latents=tmp_path / "z.npz", output=tmp_path / "x.npz")


def test_an_interpolation_is_written_with_its_ends(model, given, images, tmp_path):
    arguments = {"run_dir": GOLDEN, **given, "num_steps": 3, "seed": SEED}
    runs.interpolate(**arguments, output=tmp_path / "x.npz")
    way = read(tmp_path / "x.npz")
    assert way.shape == (3, 3, 8, 8, 3)
    np.testing.assert_array_equal(way[0], model.reconstruct(images[:3], seed=SEED))
    np.testing.assert_array_equal(way[2], model.reconstruct(images[3:6], seed=SEED))
    runs.interpolate(**arguments, output=tmp_path / "x.png")
    for row, shown in enumerate((images[:3], *way, images[3:6])):
        assert_row(picture(tmp_path / "x.png"), row * ROW, shown, columns=3)


def test_a_traversal_is_written_channel_by_channel(model, given, images, tmp_path):
    arguments = {"run_dir": GOLDEN, "images": given["first"], "level": 1, "num_steps": 3}
    arguments["seed"] = SEED
    runs.traverse(**arguments, output=tmp_path / "x.npz")
    moves = read(tmp_path / "x.npz")
    assert moves.shape == (2, 3, 8, 8, 3)
    image = images[data.chosen_indices(SEED, 1, 3)]
    [again] = model.reconstruct(image, seed=SEED)
    for channel in moves:
        np.testing.assert_array_equal(channel[1], again)
    runs.traverse(**arguments, channels=[1], output=tmp_path / "x.png")
    shown = picture(tmp_path / "x.png")
    assert len(shown) == 2 * ROW + TEXT
    assert_row(shown, 0, [image[0], again], columns=3)
    assert_row(shown, ROW + TEXT, moves[1], columns=3)
    with pytest.raises(UserError, match="reach: .*got nan"):
        runs.traverse(**arguments, reach=float("nan"), output=tmp_path / "x.png")


def test_a_swap_of_all_levels_is_the_other_image(model, given, images, tmp_path):
    arguments = {"run_dir": GOLDEN, **given, "levels": range(6), "seed": SEED}
    runs.swap(**arguments, output=tmp_path / "x.npz")
    np.testing.assert_array_equal(
        read(tmp_path / "x.npz"), model.reconstruct(images[3:6], seed=SEED)
    )


def test_pairs_need_as_many_images(given, tmp_path, images):
    np.savez(tmp_path / "second.npz", images=images[:2])
    with pytest.raises(UserError, match=r"as many first images as second ones, got \[3, 2\]"):
        runs.swap(run_dir=GOLDEN, **given, levels=[0], output=tmp_path / "x.png")


@pytest.mark.parametrize(("levels", "text"), [([0, 1, 2, 5], "0-2, 5"), ([3], "3"), ([4, 4], "4")])
def test_levels_in_short(levels, text):
    assert latents._ranges(levels) == text
