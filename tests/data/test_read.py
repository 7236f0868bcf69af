"""A few images for looking at, from every kind of path."""

import numpy as np
import pytest
from PIL import Image

from pcvae.data import chosen_indices, read_images
from pcvae.data.decode import fit_array
from pcvae.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for index, name in enumerate(("b.png", "a.png", "c.png")):
        Image.new("RGB", (20, 10), (index, 0, 0)).save(tmp_path / name)
    return tmp_path


def test_a_folder_by_name_and_up_to_a_number(folder):
    images = read_images(folder, (8, 8, 3), num_images=2)
    assert images.shape == (2, 8, 8, 3)
    assert [image[0, 0, 0] for image in images] == [1, 0]


def test_a_seed_chooses_from_a_folder_and_a_file_and_a_line_says_so(folder, tmp_path, capsys):
    array = np.arange(30, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    np.save(tmp_path / "images.npy", array)
    images = read_images(tmp_path / "images.npy", (8, 8, 1), 4, seed=1)
    np.testing.assert_array_equal(images[:, 0, 0, 0], chosen_indices(1, 4, 30))
    assert capsys.readouterr().err.endswith("images.npy: 4 of 30 images, chosen by seed 1\n")
    images = read_images(folder, (8, 8, 3), 1, seed=0)
    assert [1, 0, 2][chosen_indices(0, 1, 3)[0]] == images[0, 0, 0, 0]
    assert "1 of 3 images, chosen by seed 0" in capsys.readouterr().err
    assert len(read_images(folder, (8, 8, 3), 3, seed=0)) == 3
    assert not capsys.readouterr().err  # all of them


def test_one_picture(folder):
    Image.new("RGB", (20, 10), (200, 0, 0)).save(folder / "c.png")
    np.testing.assert_array_equal(
        read_images(folder / "c.png", (8, 8, 1)), np.full((1, 8, 8, 1), 60)
    )


def test_arrays_at_their_own_size_and_resized(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "images.npy", array)
    np.testing.assert_array_equal(
        read_images(tmp_path / "images.npy", (8, 8, 1), 3)[..., 0], array[:3]
    )
    np.testing.assert_array_equal(
        read_images(tmp_path / "images.npy", (16, 16, 1)),
        [fit_array(image[..., None], 16) for image in array],
    )
    np.savez(tmp_path / "splits.npz", train=array[:3], test=array[3:])
    np.testing.assert_array_equal(
        read_images(tmp_path / "splits.npz", (8, 8, 1))[..., 0], array[3:]
    )


def test_what_cannot_be_read_is_one_line(folder):
    (folder / "bad.png").write_bytes(b"no picture")
    (folder / "text.txt").write_text("text")
    np.save(folder / "rgb.npy", np.full((2, 8, 8, 3), 90, np.uint8))
    for name, shape, message in (
        (
            "bad.png",
            (8, 8, 3),
            "cannot be decoded as a picture: its content is no PNG, JPEG or WebP picture$",
        ),
        ("text.txt", (8, 8, 3), "expected a folder"),
        ("missing", (8, 8, 3), "expected a folder"),
        ("a.png", (8, 8, 4), "1 or 3 channels"),
        ("rgb.npy", (8, 8, 1), r"images of 1 channels, .*, got \[\d+, 8, 8, 3\]"),
    ):
        with pytest.raises(UserError, match=message) as error:
            read_images(folder / name, shape)
        assert "\n" not in str(error.value)
