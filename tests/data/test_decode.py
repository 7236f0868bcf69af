import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageCms, UnidentifiedImageError

from pcvae.data import colour
from pcvae.data.decode import decode_file, decode_in_threads, fit, fit_array, range_of_16_bits
from pcvae.data.deep_pictures import is_deep


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


def profile_with_red_for_blue():
    """Returns the profile of sRGB with red and blue exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


EXCHANGED = profile_with_red_for_blue()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
def test_a_colour_profile_is_applied(format, mode):
    red = Image.new("RGB", (16, 16), (255, 0, 0)).convert(mode)
    if format == "JPEG":
        red = red.convert("RGB")
    pixel = decoded(red, format=format, icc_profile=EXCHANGED)[1, 1].astype(int)
    assert np.abs(pixel - (0, 0, 255)).max() <= 4


def test_a_linear_profile_becomes_the_curve_of_srgb():
    linear = bytearray(SRGB)
    place = linear.index(b"para")  # the curve: make it the power 1
    linear[place : place + 16] = b"para" + bytes(4) + bytes(4) + b"\0\1\0\0"
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    grey = np.repeat(values[..., None], 3, axis=-1)
    found = decoded(Image.fromarray(grey), size=16, icc_profile=bytes(linear))[..., 0]
    share = values / 255.0
    curve = np.where(share <= 0.0031308, 12.92 * share, 1.055 * share ** (1 / 2.4) - 0.055)
    assert np.abs(found - curve * 255).max() < 1.5


def test_the_profile_of_srgb_keeps_every_bit():
    array = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert np.array_equal(decoded(Image.fromarray(array), size=32, icc_profile=SRGB), array)


def test_transparency_survives_a_profile():
    picture = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    pixel = decoded(picture, icc_profile=EXCHANGED)[0, 0].astype(int)
    assert np.abs(pixel - (127, 127, 255)).max() <= 1
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([200, 0, 0, 0, 0, 200])
    assert (decoded(palette, transparency=0, icc_profile=EXCHANGED) == 255).all()


def icc(space, kind, pcs, **tags):
    """Returns a profile of version 2: a header, the table of its tags, and those."""
    table, parts, place = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, tag in tags.items():
        tag += bytes(-len(tag) % 4)
        table += name.encode() + struct.pack(">II", place + len(parts), len(tag))
        parts += tag
    white = struct.pack(">3i", 63190, 65536, 54061)  # D50, of 65536
    size = struct.pack(">I", place + len(parts))
    header = size + bytes(4) + bytes((2, 64, 0, 0)) + kind + space + pcs + bytes(12) + b"acsp"
    return header.ljust(68, b"\0") + white.ljust(60, b"\0") + table + parts


WHITE_POINT = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)


@pytest.mark.parametrize(("mode", "format"), [("L", "PNG"), ("L", "JPEG"), ("1", "PNG")])
@pytest.mark.parametrize("power", [1.0, 1.8])
def test_a_profile_of_greys_becomes_the_curve_of_srgb(mode, format, power):
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * power))
    profile = icc(b"GRAY", b"mntr", b"XYZ ", wtpt=WHITE_POINT, kTRC=curve)
    ramp = Image.fromarray(np.arange(0, 256, 17, dtype=np.uint8).repeat(16).reshape(16, 16))
    file, told = file_of(ramp.convert(mode), format, icc_profile=profile), []
    found = decode_file(file, 16, 1, on_ignored_profile=lambda: told.append(1))[..., 0]
    file.seek(0)
    with Image.open(file) as stored:
        light = (np.asarray(stored.convert("L")) / 255.0) ** power
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert not told
    assert np.abs(found - 255 * srgb).max() <= 2


def test_a_profile_of_inks_says_what_they_look_like():
    # Paper is white, the first ink looks as sRGB's red does, whatever it is called; the others
    # are black. Lab of 8 bits, at the corners of no ink and all ink; the last ink varies fastest.
    lab = {0b0000: (100.0, 0.0, 0.0), 0b1000: (54.29, 80.81, 69.89)}
    corners = [lab.get(corner, (0.0, 0.0, 0.0)) for corner in range(16)]
    values = [(round(light * 2.55), round(a + 128), round(b + 128)) for light, a, b in corners]
    identity = struct.pack(">9i", *(65536 * int(i % 4 == 0) for i in range(9)))
    straight = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity + 4 * straight
    table += bytes(sum(values, ())) + 3 * straight
    profile = icc(b"CMYK", b"prtr", b"Lab ", wtpt=WHITE_POINT, A2B0=table)
    inks = {(0, 0, 0, 0): (255, 255, 255), (255, 0, 0, 0): (255, 0, 0), (0, 0, 0, 255): (0, 0, 0)}
    told = []
    for ink, looks in inks.items():
        file = file_of(Image.new("CMYK", (16, 16), ink), "JPEG", icc_profile=profile)
        pixel = decode_file(file, 4, 3, on_ignored_profile=lambda: told.append(1))[1, 1]
        assert not told
        assert np.abs(pixel.astype(int) - looks).max() <= 4, ink


@pytest.mark.parametrize(
    ("mode", "format", "profile"),
    [
        ("RGB", "PNG", b"no profile"),
        ("RGB", "PNG", EXCHANGED[:200]),
        ("L", "PNG", EXCHANGED),  # of colours, in a grey picture
        ("CMYK", "JPEG", EXCHANGED),
    ],
)
def test_a_profile_that_cannot_be_used_is_told_and_the_picture_read(mode, format, profile):
    told = []
    picture = Image.new("L", (16, 16), 90).convert(mode)
    file = file_of(picture, format, icc_profile=profile)
    with_profile = decode_file(file, 4, 3, on_ignored_profile=lambda: told.append(1))
    assert told == [1]
    assert np.array_equal(with_profile, decoded(picture, format=format))


def test_without_littlecms_pictures_are_read(monkeypatch):
    def missing(*args, **kwargs):
        raise ImportError("The _imagingcms C module is not installed")

    colour._transform.cache_clear()
    monkeypatch.setattr(ImageCms, "ImageCmsProfile", missing)
    told = []
    red = file_of(Image.new("RGB", (4, 4), "red"), icc_profile=EXCHANGED)
    image = decode_file(red, 4, 3, on_ignored_profile=lambda: told.append(1))
    colour._transform.cache_clear()
    assert (image == (255, 0, 0)).all() and told == [1]


def png_of_16_bits(values):
    """Encodes uint16 [height, width, 1 to 4] as a PNG."""
    return io.BytesIO(tf.io.encode_png(values).numpy())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("white", [4095, 65535])
def test_16_bits_are_scaled_in_every_kind_of_png(channels, white):
    values = np.random.default_rng(0).integers(0, white + 1, (8, 8, channels)).astype(np.uint16)
    values[0, 0], values[0, 1] = 0, white
    if channels in (2, 4):
        values[..., -1] = 65535
    colours = values[..., : 3 if channels > 2 else 1]
    file = png_of_16_bits(values)
    assert is_deep(file) and range_of_16_bits(file) == (0, white)
    expected = np.rint(colours * (255 / white)).astype(np.uint8)
    assert np.array_equal(decode_file(file, 8, 3, white), np.broadcast_to(expected, (8, 8, 3)))


def test_transparency_of_16_bits_is_laid_on_white():
    values = np.full((4, 4, 4), (4095, 0, 0, 0), np.uint16)
    assert (decode_file(png_of_16_bits(values), 4, 3, 4095) == 255).all()
    values[..., 3] = 32768  # of 65535, whatever is white
    half = decode_file(png_of_16_bits(values), 4, 3, 4095)[0, 0].astype(int)
    assert np.abs(half - (255, 127, 127)).max() <= 1


@pytest.mark.parametrize("length", [30, 60, 90])
def test_a_damaged_picture_of_16_bits_raises(length):
    values = np.random.default_rng(0).integers(0, 65536, (8, 8, 3)).astype(np.uint16)
    file = io.BytesIO(png_of_16_bits(values).getvalue()[:length])
    with pytest.raises(Exception, match=".") as raised:
        decode_file(file, 4, 3)
    assert "function_node" not in str(raised.value)
