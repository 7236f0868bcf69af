"""One rule for what is white: arrays of whole numbers and pictures of 16 bits."""

import numpy as np
import pytest
from PIL import Image

from pcvae.data import ArrayImages, FolderImages, from_spec, read_images
from pcvae.data.values import to_uint8
from pcvae.errors import UserError


def sources(tmp_path, values, **options):
    """Makes a file of arrays and a folder of PNGs from uint16 [n, height, width]."""
    np.save(tmp_path / "a.npy", values)
    (tmp_path / "pictures").mkdir()
    for i, image in enumerate(values):
        Image.fromarray(image).save(tmp_path / "pictures" / f"{i:03d}.png")
    return (
        ArrayImages(tmp_path / "a.npy", **options),
        FolderImages(tmp_path / "pictures", values.shape[1], channels=1, **options),
    )


def values_up_to(high):
    values = np.random.default_rng(0).integers(0, high + 1, (40, 6, 6)).astype(np.uint16)
    values[0, 0, :2] = high, 0
    return values


def all_values(dataset):
    return np.sort(np.concatenate([dataset.images(s).ravel() for s in dataset.splits]))


@pytest.mark.parametrize(
    ("high", "max_value", "white"),
    [
        (65535, None, 65535),
        (32768, None, 65535),
        (255, None, 255),
        (200, None, 255),
        (4095, 4095, 4095),
        (4000, 4095, 4095),
        (60000, 60000, 60000),
        (9, 9, 9),
    ],
)
def test_white_is_known_by_the_rule_or_by_the_user(tmp_path, high, max_value, white):
    values = values_up_to(high)
    expected = np.sort(np.rint(values.ravel() * (255 / white)).astype(np.uint8))
    for dataset in sources(tmp_path, values, max_value=max_value):
        assert np.array_equal(all_values(dataset), expected)


@pytest.mark.parametrize(
    ("high", "max_value", "message"),
    [
        (4095, None, "from 0 to 4095; .*--gin.data.from_spec.max_value=4095 for 12 bits, or scale"),
        (32767, None, "max_value=32767 for 15 bits"),
        (256, None, "max_value=511 for 9 bits"),
        (16, None, "from 0 to 16, so dark"),
        (4096, 4095, "from 0 to 4096; expected 0 to max_value=4095"),
    ],
)
def test_what_is_not_known_is_refused_alike_in_one_line(tmp_path, high, max_value, message):
    for dataset in sources(tmp_path, values_up_to(high), max_value=max_value):
        with pytest.raises(UserError, match=message) as raised:
            dataset.images("train")
        assert "\n" not in str(raised.value)


def test_one_picture_for_looking_at_is_held_to_the_rule_too(tmp_path):
    sources(tmp_path, values_up_to(4095))
    with pytest.raises(UserError, match="pictures holds 16-bit values from 0 to 4095"):
        read_images(tmp_path / "pictures", (6, 6, 1))
    Image.fromarray(np.full((6, 6), 257 * 90, np.uint16)).save(tmp_path / "dark.png")
    with pytest.raises(UserError, match="23130"):
        read_images(tmp_path / "dark.png", (6, 6, 1))
    Image.fromarray(np.full((6, 6), 257 * 190, np.uint16)).save(tmp_path / "light.png")
    assert (read_images(tmp_path / "light.png", (6, 6, 1)) == 190).all()


@pytest.mark.parametrize("max_value", [0, -1, np.nan, np.inf, "white", True, {}])
def test_white_must_be_a_number_above_0(tmp_path, max_value):
    np.save(tmp_path / "a.npy", values_up_to(255))
    with pytest.raises(UserError, match="max_value: expected a number"):
        from_spec(f"arrays:{tmp_path}/a.npy", max_value=max_value)


def floats_with(*values, dtype=np.float32):
    array = np.linspace(0, 1, 40 * 36).reshape(40, 6, 6).astype(dtype)
    array.ravel()[: len(values)] = np.array(values, dtype)
    return array


ROUNDING = {
    "above one by a rounding": floats_with(1.0000001),
    "float16": floats_with(1.001, dtype=np.float16),
    "big endian": floats_with(1.0000001).astype(">f4"),
    "below zero by a rounding": floats_with(-1e-9),
    "minus zero": floats_with(-0.0),
    "almost half a level outside": floats_with(-0.0019, 1.0019),
}


@pytest.mark.parametrize("case", ROUNDING)
def test_floats_that_are_outside_by_a_rounding_are_taken(tmp_path, case):
    values = ROUNDING[case]
    np.save(tmp_path / "a.npy", values)
    inside = np.clip(values.astype(np.float64), 0.0, 1.0)
    expected = np.sort(np.rint(inside.ravel() * 255).astype(np.uint8))
    assert np.array_equal(all_values(ArrayImages(tmp_path / "a.npy")), expected)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (floats_with(1.0021, 0), "from 0 to 1.0021; .*in \\[0, 1\\]; say which value is white"),
        (floats_with(-0.01), "from -0.01 to 1; .*in \\[0, 1\\]; scale"),
        (floats_with(np.float32(2) + np.float32(2**-22)), "to 2.0000002; "),
        (floats_with(np.nan), "holds NaN"),
        (floats_with(np.nan, np.inf), "holds NaN"),
        (floats_with(-np.inf), "from -inf to 1; "),
        (floats_with(np.inf, 0), "from 0 to inf; .*; scale"),
    ],
)
def test_other_floats_are_refused_with_the_digits_that_matter(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UserError, match=message) as raised:
        ArrayImages(tmp_path / "a.npy").images("train")
    assert "\n" not in str(raised.value)


def test_floats_on_another_scale_are_taken_when_white_is_said(tmp_path):
    values = floats_with(1.0) * 255
    np.save(tmp_path / "a.npy", values)
    expected = np.sort(np.rint(values.ravel()).astype(np.uint8))
    dataset = from_spec(f"arrays:{tmp_path}/a.npy", max_value=255)
    assert np.array_equal(all_values(dataset), expected)
    assert from_spec(**dataset.origin).origin["max_value"] == 255


def test_scaling_reaches_every_level_and_clips():
    every = np.arange(65536, dtype=np.uint16)
    levels, counts = np.unique(to_uint8(every, 65535), return_counts=True)
    assert np.array_equal(levels, np.arange(256))
    assert set(counts[1:-1]) == {257} and counts[0] == counts[-1] == 129
    assert to_uint8(np.array([-3.0, 400.0]), 255.0).tolist() == [0, 255]
