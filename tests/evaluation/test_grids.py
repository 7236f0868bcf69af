"""Grids put every image where it belongs."""

import numpy as np
import pytest
from PIL import Image

from pcvae.evaluation import image_grid, labelled_rows, prefix_label, save_png
from pcvae.models.prefix_choice import PrefixChoice


def test_each_image_stands_in_its_cell():
    images = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    grid = image_grid(images, columns=3, min_side=4)
    assert grid.shape == (2 * 6 + 2, 3 * 6 + 2, 3)
    for index in range(6):
        row, column = divmod(index, 3)
        cell = grid[row * 6 + 2 : row * 6 + 6, column * 6 + 2 : column * 6 + 6]
        assert (cell == index).all()


def test_small_images_are_enlarged_by_a_whole_factor():
    assert image_grid(np.zeros((1, 8, 8, 1), np.uint8), min_side=64).shape == (68, 68, 1)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_channel_count_becomes_a_png(channels, tmp_path):
    images = np.zeros((2, 8, 8, channels), np.uint8)
    save_png(image_grid(images), tmp_path / "folder" / "grid.png")
    assert Image.open(tmp_path / "folder" / "grid.png").mode == "RGB"


def test_rows_of_different_lengths_and_labels():
    picture = labelled_rows(
        [("a", np.zeros((3, 8, 8, 3), np.uint8)), ("long\nlabel", np.zeros((1, 8, 8, 3), np.uint8))]
    )
    assert picture.ndim == 3
    assert (picture == 0).any()


def test_the_label_of_a_prefix_says_what_decodes_it():
    model = PrefixChoice()
    model.num_levels, model.decoded_prefixes = 4, (2, 4)
    assert prefix_label(model, 4) == "K = 4"
    assert prefix_label(model, 2) == "K = 2\nown decoder"
    assert prefix_label(model, 2, "prior") == prefix_label(model, 2).replace(
        "own decoder", "prior's means"
    )
    assert prefix_label(model, 3) == "K = 3\nprior's means"
