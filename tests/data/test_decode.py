import io

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from pcvae.data.decode import decode_file, decode_in_threads, fit, fit_array


def file_of(image, format="PNG", **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file


def decoded(image, size=4, channels=3, format="PNG", **options):
    return decode_file(file_of(image, format, **options), size, channels)


def test_a_square_of_the_right_size_is_kept_bit_by_bit():
    array = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    assert np.array_equal(decoded(Image.fromarray(array), size=8), array)


def test_the_centre_is_kept():
    array = np.zeros((4, 12, 3), np.uint8)
    array[:, 4:8] = 200
    assert (decoded(Image.fromarray(array), size=4) == 200).all()
    assert (decoded(Image.fromarray(array.transpose(1, 0, 2)), size=4) == 200).all()


def test_shrinking_averages_instead_of_dropping_pixels():
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    middle = np.asarray(fit(Image.fromarray(stripes), 8))[2:6, 2:6]
    assert np.abs(middle.astype(int) - 127.5).max() < 4


def test_enlarging_keeps_a_flat_colour():
    assert (decoded(Image.new("RGB", (2, 2), (9, 80, 250)), size=16) == (9, 80, 250)).all()


def test_a_box_is_cropped_exactly():
    array = np.arange(10 * 6, dtype=np.uint8).reshape(10, 6, 1)
    assert np.array_equal(fit_array(array, 3, box=(2, 5, 5, 8)), array[5:8, 2:5])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels_of_an_array_do_not_mix(channels):
    array = np.random.default_rng(0).integers(0, 256, (12, 9, channels), np.uint8)
    whole = fit_array(array, 5)
    assert whole.shape == (5, 5, channels)
    for i in range(channels):
        assert np.array_equal(whole[..., i : i + 1], fit_array(array[..., i : i + 1], 5))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_the_camera_is_applied(orientation):
    upright = np.zeros((8, 8, 3), np.uint8)
    upright[:4, :4] = (255, 0, 0)
    upright[:4, 4:] = (0, 255, 0)
    upright[4:, :4] = (0, 0, 255)
    # What a camera stores is the inverse of what the orientation asks the viewer to do.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.ascontiguousarray(stored))
    assert np.array_equal(decoded(picture, size=8, exif=exif), upright)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_camera_data_do_not_spoil_the_picture():
    picture = Image.new("RGB", (4, 4), (10, 20, 30))
    assert (decoded(picture, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f garbage") == (10, 20, 30)).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
@pytest.mark.parametrize("value", [0, 255])
def test_every_png_mode_gives_black_and_white(mode, value):
    picture = Image.new("L", (4, 4), value)
    if mode == "I;16":
        picture = Image.fromarray(np.full((4, 4), value * 257, np.uint16))
    elif mode != "L":
        picture = picture.convert(mode)
    assert picture.mode == mode
    assert (decoded(picture, channels=3) == value).all()
    assert (decoded(picture, channels=1) == value).all()


def test_16_bit_grey_is_scaled_to_8_bits():
    values = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    expected = np.arange(256).reshape(16, 16, 1)
    assert np.array_equal(decoded(Image.fromarray(values), size=16, channels=1), expected)


def test_cmyk_becomes_rgb():
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    pixel = decoded(red, format="JPEG", quality=95)[2, 2].astype(int)
    assert pixel[0] > 240 and pixel[1] < 20 and pixel[2] < 20


def test_transparent_pixels_become_white():
    picture = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert (decoded(picture) == 255).all()
    half = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    assert np.abs(decoded(half)[0, 0].astype(int) - (255, 127, 127)).max() <= 1


def test_a_transparent_palette_entry_becomes_white():
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([200, 0, 0, 0, 0, 200])
    assert (decoded(picture, transparency=0) == 255).all()


def test_grey_is_luminance():
    assert decoded(Image.new("RGB", (4, 4), (255, 0, 0)), channels=1)[0, 0, 0] == 76


def test_the_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    picture = decoded(frames[0], format="WEBP", save_all=True, append_images=frames[1:])
    assert np.abs(picture[0, 0].astype(int) - (255, 0, 0)).max() < 8


def test_threads_keep_the_order_and_hand_over_errors():
    def invert(number):
        return np.array(1.0 / number if number else 1 // number)

    results = list(decode_in_threads(range(-300, 300), invert))
    assert [item for item, _, _ in results] == list(range(-300, 300))
    errors = [item for item, array, error in results if error is not None and array is None]
    assert errors == [0]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "EPS", "BMP", "TIFF"])
def test_only_documented_formats_are_read(format):
    file = file_of(Image.new("RGB", (8, 8), (9, 80, 250)), format)
    if format in ("PNG", "JPEG", "WEBP"):
        assert np.abs(decode_file(file, 4, 3) - np.array([9.0, 80.0, 250.0])).max() <= 3
    else:
        with pytest.raises(UnidentifiedImageError):
            decode_file(file, 4, 3)
