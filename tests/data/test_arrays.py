import io
import os
import pickle
import random
import tracemalloc
import zipfile

import numpy as np
import pytest

from pcvae.data import ArrayImages, read_images
from pcvae.data.splits import split_by_name
from pcvae.errors import UserError

SPLITS = ("train", "validation", "test")


def random_images(count, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def shades(count=40):
    """Pictures of 8x8 with the 17 shades 0 to 16 of scanned digits, as floats."""
    return np.random.default_rng(0).integers(0, 17, (count, 8, 8)).astype(float)


def save(path, *arrays, **named):
    if path.suffix == ".npy":
        np.save(path, *arrays)
    else:
        np.savez_compressed(path, *arrays, **named)
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("shape", [(6, 6), (6, 6, 1), (6, 6, 2), (6, 6, 3), (6, 6, 4)])
def test_one_array_is_split_by_its_indices_and_kept_bit_by_bit(tmp_path, suffix, shape):
    images = random_images(60, *shape)
    dataset = ArrayImages(save(tmp_path / f"a{suffix}", images))
    members = split_by_name([str(i) for i in range(60)], "test")
    for split in SPLITS:
        expected = images.reshape(60, 6, 6, -1)[members[split]]
        assert np.array_equal(dataset.images(split), expected)
    assert dataset.image_shape == expected.shape[1:]


def test_appending_images_moves_no_other(tmp_path):
    images = random_images(200, 4, 4, 1)
    before = ArrayImages(save(tmp_path / "a.npy", images[:90]))
    after = ArrayImages(save(tmp_path / "b.npy", images))
    for split in SPLITS:
        old = before.images(split)
        assert np.array_equal(after.images(split)[: len(old)], old)


def test_named_arrays_are_the_splits(tmp_path):
    arrays = {split: random_images(n, 5, 5, 3) for n, split in enumerate(SPLITS, start=4)}
    dataset = ArrayImages(save(tmp_path / "a.npz", **arrays, labels=np.arange(4)))
    for split in SPLITS:
        assert np.array_equal(dataset.images(split), arrays[split])


def test_a_missing_validation_is_the_end_of_train(tmp_path):
    train, test = random_images(50, 4, 4), random_images(7, 4, 4, seed=1)
    dataset = ArrayImages(save(tmp_path / "a.npz", train=train, test=test))
    assert np.array_equal(dataset.images("train")[..., 0], train[:45])
    assert np.array_equal(dataset.images("validation")[..., 0], train[45:])
    assert np.array_equal(dataset.images("test")[..., 0], test)


def test_the_array_named_images_or_the_only_one_that_can_be_is_taken(tmp_path):
    images = random_images(40, 4, 4)
    first = ArrayImages(save(tmp_path / "a.npz", images=images, masks=images[:, :2]))
    second = ArrayImages(save(tmp_path / "b.npz", data=images, target=np.arange(40)))
    assert np.array_equal(first.images("train"), second.images("train"))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16, ">i4", np.int16])
def test_whole_numbers_of_any_type_are_kept(tmp_path, dtype):
    images = random_images(30, 4, 4)
    assert np.array_equal(
        ArrayImages(save(tmp_path / "a.npy", images.astype(dtype))).images("train"),
        ArrayImages(save(tmp_path / "b.npy", images)).images("train"),
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_in_the_unit_range_are_scaled_and_said_to_be(tmp_path, dtype, capsys):
    images = random_images(30, 4, 4)
    scaled = (images / 255.0).astype(dtype)
    dataset = ArrayImages(save(tmp_path / "a.npy", scaled))
    exact = ArrayImages(save(tmp_path / "b.npy", images))
    assert np.array_equal(dataset.images("train"), exact.images("train"))
    assert "multiplied by 255" in capsys.readouterr().err


def test_bool_becomes_black_and_white(tmp_path):
    images = random_images(30, 4, 4) > 127
    train = ArrayImages(save(tmp_path / "a.npy", images)).images("train")
    assert set(np.unique(train)) == {0, 255}


def test_images_are_cropped_and_resized_on_request(tmp_path):
    images = np.zeros((30, 8, 16, 2), np.uint8)
    images[:, :, 4:12, 1] = 90
    dataset = ArrayImages(save(tmp_path / "a.npy", images), image_size=4)
    assert (dataset.images("train") == (0, 90)).all() and dataset.image_shape == (4, 4, 2)


def test_dark_floats_are_warned_of(tmp_path, capsys):
    images = random_images(30, 4, 4) / np.float32(255 * 255)
    ArrayImages(save(tmp_path / "a.npy", images)).images("train")
    assert "no value is above 1 of 255" in capsys.readouterr().err


def test_dark_whole_numbers_are_warned_of(tmp_path, capsys):
    images = shades().astype(np.uint8) + np.uint8(1)
    ArrayImages(save(tmp_path / "a.npz", images)).images("train")
    assert "no value is above 17 of 255" in capsys.readouterr().err


@pytest.mark.parametrize(("high", "factor"), [(16, 15), (1, 255), (9, 28), (0, None)])
def test_whole_numbers_on_another_scale_are_refused_with_the_remedy(tmp_path, high, factor):
    images = np.minimum(shades().astype(np.int64), high)
    path = save(tmp_path / "a.npy", images)
    remedy = "scale them to 0..255 .*" + (rf"images \* {factor}$" if factor else "")
    with pytest.raises(UserError, match=f"0 to {high}, .* another scale; {remedy}") as raised:
        ArrayImages(path).images("train")
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="another scale"):
        read_images(path, (8, 8, 1))
    if factor:
        taken = ArrayImages(save(path, images * factor)).images("test")
        members = split_by_name([str(i) for i in range(len(images))], "test")["test"]
        assert np.array_equal(taken[..., 0], images[members] * factor)


def test_fortran_order_is_read(tmp_path):
    images = random_images(30, 4, 4, 3)
    fortran = ArrayImages(save(tmp_path / "a.npy", np.asfortranarray(images)))
    plain = ArrayImages(save(tmp_path / "b.npy", images))
    assert np.array_equal(fortran.images("test"), plain.images("test"))


def test_reading_happens_once_until_the_file_changes(tmp_path, capsys):
    path = save(tmp_path / "a.npz", random_images(30, 4, 4))
    before = ArrayImages(path).images("train")
    capsys.readouterr()
    assert np.array_equal(ArrayImages(path).images("train"), before)
    assert capsys.readouterr().err == ""
    save(path, random_images(31, 4, 4, seed=1))
    assert not np.array_equal(ArrayImages(path).images("train")[: len(before)], before)


def not_a_number(images):
    images[3, 1, 1] = np.nan
    return images


BAD_ARRAYS = {
    "17 shades": (lambda: shades(9), "0 to 16; .*save as uint8"),
    "floats to 255": (lambda: random_images(9, 4, 4) * 1.0, "floats in"),
    "floats in [-1, 1]": (lambda: np.linspace(-1, 1, 144).reshape(9, 4, 4), "from -1 to 1"),
    "not a number": (lambda: not_a_number(np.zeros((9, 4, 4))), "holds NaN; expected whole"),
    "infinity": (lambda: np.full((9, 4, 4), np.inf), "inf"),
    "negative": (lambda: np.full((9, 4, 4), -1), "from -1 to -1"),
    "12 bits": (lambda: np.full((9, 4, 4), 4095, np.uint16), "max_value=4095 for 12 bits"),
    "complex": (lambda: np.zeros((9, 4, 4), complex), "complex128"),
    "text": (lambda: np.full((9, 4, 4), "a"), "type"),
    "dates": (lambda: np.zeros((9, 4, 4), "datetime64[s]"), "datetime64"),
    "flat": (lambda: np.zeros((9, 64), np.uint8), "shape"),
    "one number": (lambda: np.uint8(3), "shape"),
    "channels first": (lambda: np.zeros((9, 3, 8, 8), np.uint8), "channels must come last"),
    "five channels": (lambda: np.zeros((9, 8, 8, 5), np.uint8), "1 to 4 channels"),
    "video": (lambda: np.zeros((9, 2, 8, 8, 3), np.uint8), "shape"),
    "no images": (lambda: np.zeros((0, 8, 8, 3), np.uint8), "shape"),
    "no pixels": (lambda: np.zeros((9, 0, 0, 3), np.uint8), "shape"),
    "not square": (lambda: np.zeros((9, 8, 6, 3), np.uint8), "set image_size, for example to 6"),
    "two images": (lambda: random_images(2, 8, 8, 3), "too few"),
    "objects": (lambda: np.array([{}, []], object), "pickles are refused"),
    "records": (lambda: np.zeros((9, 4, 4), [("r", "u1")]), "type"),
}


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_other_arrays_are_refused_in_one_line(tmp_path, case, suffix):
    make, message = BAD_ARRAYS[case]
    path = save(tmp_path / f"a{suffix}", make())
    with pytest.raises(UserError, match=message) as raised:
        ArrayImages(path).images("train")
    assert "\n" not in str(raised.value)


def npz_bytes():
    file = io.BytesIO()
    np.savez_compressed(file, random_images(20, 4, 4))
    return file.getvalue()


def npy_bytes():
    file = io.BytesIO()
    np.save(file, random_images(20, 4, 4))
    return file.getvalue()


class Poison:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.pkl"])
def test_pickles_are_never_loaded(tmp_path, name):
    proof = tmp_path / "was-unpickled"
    if name == "a.pkl":
        (tmp_path / name).write_bytes(pickle.dumps(Poison(proof)))
    else:
        save(tmp_path / name, np.array([Poison(proof)], object))
    with pytest.raises(UserError) as raised:
        ArrayImages(tmp_path / name).images("train")
    assert "\n" not in str(raised.value) and not proof.exists()


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x93NUMPY", b"\x93NUMPY\x03\x00", b"x" * 99]
)
def test_other_files_are_refused_in_one_line(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match="as a .npy or .npz file") as raised:
        ArrayImages(tmp_path / "a.npz")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"some text", "its content is of another kind"),
        (pickle.dumps([1, 2]), "it is a pickle, and pickles are refused"),
    ],
)
def test_a_file_of_another_kind_is_told_what_it_is(tmp_path, content, says):
    for name in ("a.npy", "a.npz"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"as a .npy or .npz file: {says}"):
            ArrayImages(tmp_path / name)


@pytest.mark.parametrize("make", [npy_bytes, npz_bytes])
def test_random_damage_gives_images_or_one_line(tmp_path, make):
    dice = random.Random(0)
    whole = make()
    for i in range(150):
        content = bytearray(whole)
        for _ in range(dice.randrange(0, 6)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        path = tmp_path / f"{i}.npz"
        path.write_bytes(content[: dice.randrange(1, len(content) + 1)])
        try:
            assert ArrayImages(path, image_size=4).images("train").dtype == np.uint8
        except UserError as error:
            assert "\n" not in str(error)


def test_files_that_are_not_there_are_refused(tmp_path):
    for path, message in {tmp_path / "no.npz": "no such file", tmp_path: "is a folder"}.items():
        with pytest.raises(UserError, match=message):
            ArrayImages(path)


def test_arrays_that_cannot_be_told_apart_are_listed(tmp_path):
    images = random_images(9, 4, 4)
    path = save(tmp_path / "a.npz", faces=images, cats=images)
    with pytest.raises(UserError, match=r"expected 'train' and 'test'.*faces \(9, 4, 4\), cats"):
        ArrayImages(path)
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("readme.txt", "no arrays")
    with pytest.raises(UserError, match="found none"):
        ArrayImages(tmp_path / "b.npz")


def test_splits_of_different_shapes_are_refused(tmp_path):
    path = save(tmp_path / "a.npz", train=random_images(9, 4, 4), test=random_images(9, 5, 5))
    with pytest.raises(UserError, match="different shapes"):
        ArrayImages(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_file_of_equal_size_and_time_is_noticed(tmp_path, suffix):
    for seed in (0, 1):
        images = random_images(30, 4, 4, seed=seed)
        path = tmp_path / f"other{suffix}"
        np.save(path, images) if suffix == ".npy" else np.savez(path, images)
        os.utime(path, ns=(10**18, 10**18))
        os.replace(path, tmp_path / f"a{suffix}")
        members = split_by_name([str(i) for i in range(30)], "test")
        train = ArrayImages(tmp_path / f"a{suffix}").images("train")
        assert np.array_equal(train[..., 0], images[members["train"]])


def packed(path, shape, dtype, content):
    """Writes an .npz of one array whose bytes are all zero, a piece at a time."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("images.npy", "w", force_zip64=True) as file,
    ):
        header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(content))


@pytest.mark.parametrize("read", [lambda data: data.images("train"), None])
def test_a_packed_array_beyond_the_memory_is_refused_before_it_is_read(tmp_path, read):
    path = tmp_path / "small.npz"
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    packed(path, (there // 4096 + 1, 32, 32, 1), np.float32, 2**20)
    assert path.stat().st_size < 5000
    with pytest.raises(UserError, match=r"small.npz takes \S+ GiB for its arrays.* \.npy") as error:
        if read:
            read(ArrayImages(path))
        else:
            read_images(path, (32, 32, 1))
    assert "\n" not in str(error.value)


def test_a_packed_header_without_end_is_not_read(tmp_path):
    path = tmp_path / "header.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        start = np.lib.format.MAGIC_PREFIX + bytes((2, 0)) + (2**27).to_bytes(4, "little")
        archive.writestr("images.npy", start + b" " * 2**27)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="header.npz"):
            ArrayImages(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
