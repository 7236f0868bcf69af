"""Grids put every image where it belongs."""

import numpy as np
import pytest
from PIL import Image

from pcvae.show import (
    captioned_grid,
    image_grid,
    labelled_rows,
    prefix_label,
    rows_of_conditions,
    save_png,
)
from tests.models import tiny
from tests.show.cells import ROW, SIDE, assert_row, enlarged, margin


def test_each_image_stands_in_its_cell():
    images = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    grid = image_grid(images, columns=3, min_side=4)
    assert grid.shape == (2 * 6 + 2, 3 * 6 + 2, 3)
    for index in range(6):
        row, column = divmod(index, 3)
        cell = grid[row * 6 + 2 : row * 6 + 6, column * 6 + 2 : column * 6 + 6]
        assert (cell == index).all()


def random_images(count, side=8, channels=3):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def test_small_images_are_enlarged_by_a_whole_factor():
    images = random_images(1, channels=1)
    grid = image_grid(images, min_side=60)
    np.testing.assert_array_equal(grid[2:-2, 2:-2], enlarged(images[0])[..., :1])
    grid[2:-2, 2:-2] = grid[0, 0]
    assert (grid == grid[0, 0]).all()


@pytest.mark.parametrize("value", [0, 255])
def test_a_gutter_is_seen_between_white_images_and_between_black_ones(value):
    grid = image_grid(np.full((3, 8, 8, 1), value, np.uint8), columns=2).astype(int)
    for gutter in (grid[:2, :134], grid[:, :2], grid[66:68, :134], grid[:68, 66:68]):
        assert (np.abs(gutter - value) > 60).all()
    assert (grid[-66:, -66:] == 255).all()  # no image


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_channel_count_becomes_a_png(channels, tmp_path):
    """Grey is in each colour, two channels lack blue, and a fourth is not shown."""
    images = random_images(1, channels=channels)
    save_png(image_grid(images), tmp_path / "folder" / "grid.png")
    written = Image.open(tmp_path / "folder" / "grid.png")
    assert written.mode == "RGB"
    expected = np.zeros((8, 8, 3), np.uint8)
    expected[..., : min(channels, 3)] = images[0, ..., :3]
    if channels == 1:
        expected[:] = images[0]
    np.testing.assert_array_equal(np.asarray(written)[2:-2, 2:-2], enlarged(expected))


def test_rows_of_different_lengths_stand_behind_their_labels():
    first, second = random_images(3), random_images(1)[:, ::-1]
    picture = labelled_rows([("a", first), ("long\nlabel", second)])
    left = margin(picture, columns=3)
    for top, images in ((0, first), (ROW, second)):
        assert_row(picture, top, images, columns=3)
        assert (picture[top : top + ROW, :left] < 90).any()  # the label
    assert (picture[ROW:, left + SIDE + 4 :] == 255).all()


def test_texts_stand_above_their_columns():
    images = np.full((3, 64, 64, 3), 90, np.uint8)
    plain = labelled_rows([("a", images), ("b", images)])
    named = labelled_rows([("a", images), ("", ["1", "", "3"]), ("b", images)])
    height = len(named) - len(plain)
    band = named[68 : 68 + height]
    np.testing.assert_array_equal(np.concatenate([named[:68], named[68 + height :]]), plain)
    left = named.shape[1] - 3 * 66 - 2
    dark = [(band[:, left + 66 * i : left + 66 * (i + 1)] < 90).any() for i in range(3)]
    assert dark == [True, False, True]


def test_each_sample_stands_below_its_condition():
    conditions = np.full((3, 32, 32, 3), [[[[50]]], [[[60]]], [[[70]]]], np.uint8)
    samples = conditions.repeat(2, axis=1).repeat(2, axis=2) + 100
    picture = rows_of_conditions(conditions, samples, columns=2)
    left = picture.shape[1] - 2 * (64 + 2) - 2
    for index in range(3):
        row, column = divmod(index, 2)
        across = slice(left + 2 + column * 66, left + 66 + column * 66)
        for line, value in (
            (2 * row, conditions[index, 0, 0]),
            (2 * row + 1, samples[index, 0, 0]),
        ):
            top = line * 68 + 2
            assert (picture[top : top + 64, across] == value).all()


def test_the_label_of_a_prefix_says_what_decodes_it():
    model = tiny.vdvae(decoder_blocks="1x2,4m1,4x1", prefix_decoders=(2,))
    assert prefix_label(model, 4) == "K = 4"
    assert prefix_label(model, 2) == "K = 2\nown decoder"
    assert prefix_label(model, 2, "prior") == prefix_label(model, 2).replace(
        "own decoder", "prior's means"
    )
    assert prefix_label(model, 3) == "K = 3\nprior's means"


def test_captions_stand_under_their_images():
    image = np.full((8, 8, 1), 128, np.uint8)
    picture = captioned_grid([[image, image]], [["", "12 bits\n3 dB"]], ["a", "b"])
    height, width = picture.shape[:2]
    left, right = picture[:, : width // 2], picture[:, width // 2 :]
    assert (left[-30:] == 255).all()
    assert (right[-30:] < 100).any()
    for half in (left, right):
        assert (half[:20] < 100).any()  # the header
        rows, columns = np.nonzero((half == 128).all(axis=-1))
        assert len(rows) == 64 * 64
        assert (np.ptp(rows), np.ptp(columns)) == (63, 63)
        assert (half.shape[1] - 64) // 2 == columns.min()
