import io
import os
import shutil

import lmdb
import numpy as np
import pytest
from PIL import Image

from pcvae.data import LSUNImages
from pcvae.data.splits import split_by_name
from pcvae.errors import UserError


def make_lmdb(folder, count, first=0, format="WEBP"):
    """Makes an LMDB as LSUN publishes it: flat pictures whose red value is their number."""
    folder.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(folder), map_size=2**24) as environment, environment.begin(write=True) as t:
        for i in range(first, first + count):
            file = io.BytesIO()
            Image.new("RGB", (30, 20), (i, 128, 0)).save(file, format, quality=100)
            t.put(key_of(i), file.getvalue())
    return folder


def key_of(number):
    return f"{number * 2654435761 % 2**32:08x}".encode()


def by_key(numbers):
    return np.array(sorted(numbers, key=key_of))


def reds(images):
    return images[:, 0, 0, 0].astype(int)


@pytest.mark.parametrize("format", ["WEBP", "JPEG"])
def test_the_official_validation_images_are_the_test_split(tmp_path, format):
    make_lmdb(tmp_path / "bedroom_train_lmdb", 40, format=format)
    make_lmdb(tmp_path / "bedroom_val_lmdb", 5, first=200, format=format)
    dataset = LSUNImages(tmp_path, image_size=8)
    numbers = by_key(range(40))
    expected = {"train": numbers[:36], "validation": numbers[36:], "test": by_key(range(200, 205))}
    for split, values in expected.items():
        assert dataset.images(split).shape == (len(values), 8, 8, 3)
        assert np.abs(reds(dataset.images(split)) - values).max() <= 3


def test_one_lmdb_is_split_by_its_keys(tmp_path):
    dataset = LSUNImages(make_lmdb(tmp_path / "any name", 60), image_size=4)
    numbers = by_key(range(60))
    members = split_by_name([key_of(number).decode() for number in numbers], "test")
    for split in dataset.splits:
        assert np.abs(reds(dataset.images(split)) - numbers[members[split]]).max() <= 3


def test_a_training_lmdb_alone_is_found_and_split(tmp_path):
    make_lmdb(tmp_path / "bedroom_train_lmdb", 60)
    dataset = LSUNImages(tmp_path)
    assert dataset.image_shape == (64, 64, 3)
    assert sum(dataset.num_images(split) for split in dataset.splits) == 60


def test_a_file_of_equal_size_and_time_is_noticed(tmp_path):
    for first in (0, 100):
        folder = make_lmdb(tmp_path / "made", 40, first)
        os.utime(folder / "data.mdb", ns=(10**18, 10**18))
        shutil.rmtree(tmp_path / "lsun", ignore_errors=True)
        os.replace(folder, tmp_path / "lsun")
        train = reds(LSUNImages(tmp_path / "lsun", image_size=4).images("train"))
        assert (train >= first - 3).all() and (train < first + 43).all()


def test_the_training_split_can_be_limited(tmp_path):
    make_lmdb(tmp_path / "church_train_lmdb", 40)
    make_lmdb(tmp_path / "church_val_lmdb", 5, first=200)
    whole = LSUNImages(tmp_path, image_size=4)
    limited = LSUNImages(tmp_path, image_size=4, num_train_images=7)
    assert np.array_equal(limited.images("train"), whole.images("train")[:7])
    assert np.array_equal(limited.images("test"), whole.images("test"))


def test_values_that_are_no_images_are_counted_and_the_first_is_named(tmp_path):
    folder = make_lmdb(tmp_path / "lsun", 40)
    with lmdb.open(str(folder), map_size=2**24) as environment, environment.begin(write=True) as t:
        for i in (3, 9):
            t.put(key_of(i), b"RIFF nothing")
    with pytest.raises(UserError, match="2 of 40 values") as raised:
        LSUNImages(folder).images("test")
    assert "\n" not in str(raised.value)
    assert any(repr(key_of(i)) in str(raised.value) for i in (3, 9))


def test_a_file_that_is_cut_short_is_refused(tmp_path):
    folder = make_lmdb(tmp_path / "lsun", 60)
    content = (folder / "data.mdb").read_bytes()
    (folder / "data.mdb").write_bytes(content[: len(content) - 8192])
    with pytest.raises(UserError, match="cut short"):
        LSUNImages(folder).images("train")


def test_folders_without_one_lmdb_are_refused_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "data.mdb").write_text("not an LMDB" * 1000)
    make_lmdb(tmp_path / "two" / "bedroom_train_lmdb", 1)
    make_lmdb(tmp_path / "two" / "church_train_lmdb", 1)
    make_lmdb(tmp_path / "nothing", 0)
    cases = {
        "missing": "no such folder",
        "empty": "expected data.mdb there",
        "text": "as an LMDB",
        "two": "several LMDBs",
        "nothing": "is empty",
    }
    for name, message in cases.items():
        with pytest.raises(UserError, match=message) as raised:
            LSUNImages(tmp_path / name).images("train")
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("options", [{"image_size": 0}, {"num_train_images": 0}])
def test_wrong_arguments_are_refused(tmp_path, options):
    with pytest.raises(UserError):
        LSUNImages(make_lmdb(tmp_path / "lsun", 3), **options)
