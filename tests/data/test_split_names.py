"""Folders and arrays named train, val or test are those splits, or a line says why."""

import numpy as np
import pytest
from PIL import Image

from pcvae.data import ArrayImages, FolderImages
from pcvae.data.split_names import split_keys
from pcvae.data.splits import split_by_name
from pcvae.errors import UserError

SPLITS = ("train", "validation", "test")


def make(root, **counts):
    """Makes a folder of pictures, each of another colour; returns {path: red and green}."""
    colours = {}
    for folder, count in counts.items():
        for _ in range(count):
            place = root / folder.replace("__", "/")
            place.mkdir(parents=True, exist_ok=True)
            colour = (len(colours), 255 - len(colours), 9)
            name = f"{len(colours):03d}.png"
            Image.new("RGB", (6, 6), colour).save(place / name)
            colours[(place / name).relative_to(root).as_posix()] = colour
    return colours


def names_in(dataset, split, colours):
    name_of = {colour: name for name, colour in colours.items()}
    return [name_of[tuple(int(v) for v in image[0, 0])] for image in dataset.images(split)]


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING"])
@pytest.mark.parametrize("validation", ["val", "valid", "validation", "dev", "Val"])
@pytest.mark.parametrize("test", ["test", "testing", "TEST"])
def test_three_folders_are_the_splits(tmp_path, train, validation, test):
    colours = make(tmp_path, **{train: 5, validation: 2, test: 3})
    dataset = FolderImages(tmp_path, 6)
    for split, folder in zip(SPLITS, (train, validation, test), strict=True):
        expected = [name for name in colours if name.startswith(f"{folder}/")]
        assert names_in(dataset, split, colours) == expected


@pytest.mark.parametrize(
    ("folder", "missing"), [("test", "validation"), ("val", "test"), ("dev", "test")]
)
def test_a_missing_split_is_held_out_of_train_by_name(tmp_path, folder, missing, capsys):
    colours = make(tmp_path, train=40, **{folder: 7})
    dataset = FolderImages(tmp_path, 6)
    train = [name for name in colours if name.startswith("train/")]
    other = "validation" if missing == "test" else "test"
    members = split_by_name(train, "a test", wanted=[missing])
    assert names_in(dataset, missing, colours) == [train[i] for i in members[missing]]
    assert names_in(dataset, "train", colours) == [train[i] for i in members["train"]]
    assert names_in(dataset, other, colours) == [n for n in colours if n not in train]
    for _ in range(2):  # each start says it
        said = capsys.readouterr().err
        assert "train is train/ (40 pictures), " in said
        assert f"{missing} is held out of train by name" in said
        FolderImages(tmp_path, 6).images("train")


@pytest.mark.parametrize("prefix", ["unpacked__", "a__b__", "bottle__|cable__"])
def test_splits_below_other_folders_count_where_all_pictures_are_in_some(tmp_path, prefix):
    counts = {}
    for part in prefix.split("|"):
        counts |= {f"{part}train__good": 6, f"{part}test__broken": 3, f"{part}test__good": 2}
    colours = make(tmp_path, **counts)
    dataset = FolderImages(tmp_path, 6)
    expected = sorted(name for name in colours if "/test/" in name)
    assert names_in(dataset, "test", colours) == expected
    for split in ("train", "validation"):
        assert all("/train/" in name for name in names_in(dataset, split, colours))


def test_folders_of_which_only_some_pictures_are_in_are_warned_of_and_are_no_splits(
    tmp_path, capsys
):
    make(tmp_path, holiday=20, holiday__test=20)
    dataset = FolderImages(tmp_path, 6)
    assert sum(dataset.num_images(split) for split in SPLITS) == 40
    assert dataset.num_images("test") != 20
    assert "warning: folders named as splits (test/) lie below others" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"train": 9, "val": 2, "valid": 2}, "several folders for the split validation: val/, val"),
        ({"train": 9, "test": 2, "TEST": 2}, "several folders for the split test: TEST/, test/"),
        ({"train": 9, "test": 2, ".": 3}, "beside them 3 other pictures, such as '011.png'"),
        ({"train": 9, "test": 2, "extra": 3}, "beside them 3 other pictures, such as 'extra/"),
        ({"test": 9, "val": 2}, "no train/"),
        ({"test": 9}, "no train/"),
        ({"train": 1, "test": 9}, "1 images, too few to split by their names into train and val"),
    ],
)
def test_what_is_ambiguous_is_refused_in_one_line(tmp_path, counts, message):
    make(tmp_path, **counts)
    with pytest.raises(UserError, match=message) as raised:
        FolderImages(tmp_path, 6)
    assert "\n" not in str(raised.value)


def test_a_folder_of_train_alone_is_split_by_name(tmp_path):
    colours = make(tmp_path, train=40)
    dataset = FolderImages(tmp_path, 6)
    members = split_by_name(list(colours), "a test")
    for split in SPLITS:
        assert names_in(dataset, split, colours) == [list(colours)[i] for i in members[split]]


@pytest.mark.parametrize("key", ["x_train", "X_TRAIN", "trainX", "train_images", "Train", "train"])
def test_names_of_arrays_say_their_split(key):
    assert split_keys([key]) == {"train": [key]}


@pytest.mark.parametrize(
    "key", ["y_train", "train_labels", "strain", "retest", "images", "trained"]
)
def test_other_names_of_arrays_say_none(key):
    assert split_keys([key]) == {}


def arrays(**counts):
    values = np.random.default_rng(0).integers(0, 256, (sum(counts.values()), 4, 4), np.uint8)
    parts = np.split(values, np.cumsum(list(counts.values()))[:-1])
    return dict(zip(counts, parts, strict=True))


@pytest.mark.parametrize(
    "keys",
    [
        ("train", "val", "test"),
        ("x_train", "x_valid", "x_test"),
        ("X_Train", "X_Dev", "X_Test"),
        ("trainImages", "validationImages", "testImages"),
    ],
)
def test_arrays_named_as_splits_are_read_whole_and_said(tmp_path, keys, capsys):
    content = arrays(**dict(zip(keys, (60, 20, 10), strict=True)))
    np.savez(tmp_path / "a.npz", **content, y_train=np.arange(60))
    dataset = ArrayImages(tmp_path / "a.npz")
    for split, key in zip(SPLITS, keys, strict=True):
        assert np.array_equal(dataset.images(split)[..., 0], content[key])
    line = f"train is {keys[0]!r} (60), validation is {keys[1]!r} (20), test is {keys[2]!r} (10); "
    assert f"{line}not read: 'y_train'" in capsys.readouterr().err


def test_a_missing_test_is_held_out_of_train_and_never_of_validation(tmp_path, capsys):
    content = arrays(train=60, val=20)
    np.savez(tmp_path / "a.npz", **content)
    dataset = ArrayImages(tmp_path / "a.npz")
    assert np.array_equal(dataset.images("test")[..., 0], content["train"][54:])
    assert np.array_equal(dataset.images("train")[..., 0], content["train"][:54])
    assert np.array_equal(dataset.images("validation")[..., 0], content["val"])
    assert "test is the end of 'train' (6)" in capsys.readouterr().err


def test_a_split_beside_the_array_of_images_is_said_not_to_be_read(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", **arrays(images=60, test=20))
    dataset = ArrayImages(tmp_path / "a.npz")
    assert sum(dataset.num_images(split) for split in SPLITS) == 60
    assert "'images' is split by the index of each image; not read: 'test'" in (
        capsys.readouterr().err
    )


def test_two_arrays_for_one_split_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", **arrays(train=60, val=20, valid=20))
    with pytest.raises(UserError, match="several arrays for the split validation: 'val', 'valid'"):
        ArrayImages(tmp_path / "a.npz")


def test_images_that_two_splits_share_are_counted_and_one_is_named(tmp_path, capsys):
    content = arrays(train=30, val=10, test=10)
    content["test"][3:5] = content["train"][[7, 7]]
    content["val"][6] = content["train"][2]
    np.savez(tmp_path / "a.npz", **content)
    ArrayImages(tmp_path / "a.npz").images("train")
    said = capsys.readouterr().err
    line = "2 of the 10 images of test are in train, too, pixel by pixel; the first is 'test[3]'"
    assert line in said
    assert "1 of the 10 images of validation are in train, too" in said
    assert "are in validation, too" not in said
