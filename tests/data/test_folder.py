import os
import random
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from pcvae import show
from pcvae.data import FolderImages
from pcvae.data.splits import split_by_name
from pcvae.errors import UserError

SUFFIXES = ("png", "jpg", "jpeg", "webp", "PNG", "JpG")


def make_folder(root, count=30, size=(12, 10)):
    """Makes flat pictures whose red value is their number."""
    root.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        file = root / f"{i:03d}.{SUFFIXES[i % len(SUFFIXES)]}"
        Image.new("RGB", size, (i, 255 - i, 100)).save(file, quality=100)
    return root


def all_images(dataset):
    return np.concatenate([dataset.images(split) for split in dataset.splits])


def check_one_line(raised):
    assert "\n" not in str(raised.value) and len(str(raised.value)) > 20


def test_every_picture_is_in_one_split_in_the_order_of_names(tmp_path):
    dataset = FolderImages(make_folder(tmp_path / "pictures"), image_size=8)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    members = split_by_name(names, "test")
    for split in dataset.splits:
        reds = dataset.images(split)[:, 0, 0, 0].astype(int)
        assert np.abs(reds - [int(names[i][:3]) for i in members[split]]).max() <= 2
        assert dataset.num_images(split) == len(reds)
    assert dataset.image_shape == (8, 8, 3) and len(all_images(dataset)) == 30


def test_folders_below_count_and_hidden_or_other_files_do_not(tmp_path):
    root = make_folder(tmp_path / "pictures", 12)
    make_folder(root / "a" / "b", 9)
    make_folder(root / ".thumbnails", 5)
    (root / "._000.png").write_bytes(b"what a Mac leaves behind")
    (root / "notes.txt").write_text("not a picture")
    (root / "folder.png").mkdir()
    assert len(all_images(FolderImages(root, image_size=4))) == 21


def test_links_are_followed_and_circles_are_not(tmp_path):
    elsewhere = make_folder(tmp_path / "elsewhere", 8)
    root = make_folder(tmp_path / "pictures", 8)
    (root / "linked").symlink_to(elsewhere)
    (root / "circle").symlink_to(root)
    (root / "broken.png").symlink_to(tmp_path / "nothing.png")
    assert len(all_images(FolderImages(root, image_size=4))) == 16


def test_grey_pictures_have_one_channel(tmp_path):
    dataset = FolderImages(make_folder(tmp_path / "pictures", 12), image_size=4, channels=1)
    assert dataset.image_shape == (4, 4, 1)
    found = np.sort(all_images(dataset)[:, 0, 0, 0].astype(int))
    luminance = [0.299 * i + 0.587 * (255 - i) + 0.114 * 100 for i in range(12)]
    assert np.abs(found - np.sort(luminance)).max() <= 2


def test_names_of_every_kind_are_read(tmp_path):
    root = make_folder(tmp_path / "pictures", 12)
    for name in ("with space.png", "line\nbreak.png", "ünï.png", "[glob]*.png", "-flag.png"):
        shutil.copy(root / "000.png", root / name)
    shutil.copy(root / "000.png", os.fsencode(root) + b"/latin-\xe9.png")
    assert len(all_images(FolderImages(root, image_size=4))) == 18


def test_decoding_happens_once_until_the_folder_changes(tmp_path, capsys):
    root = make_folder(tmp_path / "pictures", 12)
    before = all_images(FolderImages(root, image_size=4))
    assert "decoding" in capsys.readouterr().err
    assert np.array_equal(all_images(FolderImages(root, image_size=4)), before)
    assert capsys.readouterr().err == ""
    Image.new("RGB", (9, 9), "white").save(root / "000.png")
    assert not np.array_equal(all_images(FolderImages(root, image_size=4)), before)


def damaged_files(root):
    """Puts damaged files into a folder of pictures; returns their names."""
    whole = (root / "001.jpg").read_bytes()
    contents = {
        "900.jpg": whole[: len(whole) // 2],
        "901.png": b"",
        "902.webp": b"RIFF____WEBPVP8 nonsense",
        "903.png": b"<html>404</html>",
    }
    for name, content in contents.items():
        (root / name).write_bytes(content)
    return sorted(contents)


def test_damaged_pictures_are_counted_and_the_first_is_named(tmp_path):
    root = make_folder(tmp_path / "pictures", 12)
    names = damaged_files(root)
    dataset = FolderImages(root, image_size=4)
    with pytest.raises(UserError, match="4 of 16 images .*skip_unreadable=True") as raised:
        dataset.images("test")
    assert any(repr(name) in str(raised.value) for name in names)
    check_one_line(raised)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("900.jpg", "[Tt]runcated"),
        ("901.png", "the file is empty"),
        ("903.png", "its content is no PNG, JPEG or WebP picture"),
        ("gone.png", "No such file"),
    ],
)
def test_the_error_says_why_and_names_the_flag(tmp_path, name, reason):
    root = make_folder(tmp_path / "pictures", 12)
    damaged_files(tmp_path / "pictures")
    for other in root.glob("90*"):
        if other.name != name:
            other.unlink()
    (root / name).touch()
    dataset = FolderImages(root, image_size=4)
    if name == "gone.png":
        (root / name).unlink()
    remedy = "leave them out by --gin.data.from_spec.skip_unreadable=True"
    with pytest.raises(UserError, match=rf"'{name}' \(.*{reason}.*\); .*{remedy}") as raised:
        dataset.images("test")
    check_one_line(raised)


def test_damaged_pictures_can_be_skipped_with_one_warning_each_run(tmp_path, capsys):
    root = make_folder(tmp_path / "pictures", 40)
    clean = all_images(FolderImages(root, image_size=4))
    damaged_files(root)
    for _ in range(2):
        capsys.readouterr()
        dataset = FolderImages(root, image_size=4, skip_unreadable=True)
        assert sorted(map(bytes, all_images(dataset))) == sorted(map(bytes, clean))
        assert capsys.readouterr().err.count("skipped 4 of 44 images") == 1
    with pytest.raises(UserError):
        FolderImages(root, image_size=4).images("train")


def test_a_decompression_bomb_is_unreadable(tmp_path, monkeypatch):
    root = make_folder(tmp_path / "pictures", 12)
    Image.new("1", (400, 400)).save(root / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300 * 200)
    with pytest.raises(UserError, match=r"1 of 13 images .*'bomb.png'"):
        FolderImages(root, image_size=4).images("train")


def test_random_damage_gives_an_image_or_one_line(tmp_path):
    source = make_folder(tmp_path / "source", 6)
    for file in source.iterdir():
        noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(noise).save(file)
    dice = random.Random(0)
    root = make_folder(tmp_path / "pictures", 60)
    for i, file in enumerate(sorted(source.iterdir()) * 40):
        content = bytearray(file.read_bytes())
        for _ in range(dice.randrange(1, 30)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        (root / f"damaged-{i}{file.suffix}").write_bytes(content[: dice.randrange(len(content))])
    assert all_images(FolderImages(root, image_size=4, skip_unreadable=True)).shape[0] >= 60
    with pytest.raises(UserError) as raised:
        FolderImages(root, image_size=4).images("train")
    check_one_line(raised)


def test_a_missing_folder_a_file_and_a_folder_without_pictures(tmp_path):
    (tmp_path / "file.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    cases = {"missing": "no such folder", "file.png": "is a file", "empty": "no images"}
    for name, message in {**cases, "texts": "found 1 other"}.items():
        with pytest.raises(UserError, match=message) as raised:
            FolderImages(tmp_path / name)
        check_one_line(raised)


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 0},
        {"image_size": -3},
        {"image_size": 2.5},
        {"image_size": "32"},
        {"image_size": 10**6},
        {"channels": 2},
        {"channels": "RGB"},
        {"test_fraction": 0.0},
        {"validation_fraction": 0.95},
    ],
)
def test_wrong_arguments_are_explained_in_one_line(tmp_path, options):
    root = make_folder(tmp_path / "pictures", 12)
    with pytest.raises(UserError) as raised:
        FolderImages(root, **options)
    check_one_line(raised)


def test_a_folder_of_two_pictures_is_too_few(tmp_path):
    with pytest.raises(UserError, match="2 images, too few"):
        FolderImages(make_folder(tmp_path / "pictures", 2))


def flat_folder(root, value, count=30):
    """Makes pictures of one grey, with names, sizes and times that do not depend on it."""
    root.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        file = root / f"{i:03d}.png"
        Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(file, compress_level=0)
        os.utime(file, ns=(10**18, 10**18))
    return root


def test_folders_of_equal_names_sizes_and_times_give_their_own_pictures(tmp_path):
    for name, value in (("day", 240), ("night", 10)):
        dataset = FolderImages(flat_folder(tmp_path / name, value), image_size=8)
        assert set(np.unique(all_images(dataset))) == {value}


def test_a_picture_of_equal_size_and_time_is_noticed(tmp_path):
    root = flat_folder(tmp_path / "pictures", 240)
    all_images(FolderImages(root, image_size=8))
    flat_folder(tmp_path / "other", 10, count=1)
    os.replace(tmp_path / "other" / "000.png", root / "000.png")
    assert (all_images(FolderImages(root, image_size=8)) == 10).all(axis=(1, 2, 3)).sum() == 1


def test_a_folder_has_one_cache_whatever_path_leads_to_it(tmp_path, monkeypatch, capsys):
    root = make_folder(tmp_path / "pictures", 12)
    (tmp_path / "link").symlink_to(root)
    first = all_images(FolderImages(root, image_size=4))
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    for path in ("pictures", "link", "./pictures/../link"):
        assert np.array_equal(all_images(FolderImages(path, image_size=4)), first)
    assert capsys.readouterr().err == ""


OUTPUTS = {
    "a run": ("run.json", "checkpoints/ckpt-1.index"),
    "a run that has started": ("model.json", "checkpoints/ckpt-1.index"),
    "a run of the command": ("config.gin",),
    "an export": ("saved_model.pb", "export.json"),
    "a table": ("results/table1.json",),
    "a comparison": ("comparison.json", "comparison.html"),
}


@pytest.mark.parametrize("place", ["runs/first", "first"])
@pytest.mark.parametrize("case", OUTPUTS)
def test_what_pcvae_has_written_below_is_no_data_and_is_named(tmp_path, case, place, capsys):
    root = make_folder(tmp_path / "pictures", 12)
    before = all_images(FolderImages(root, image_size=4))
    assert "left out" not in capsys.readouterr().err
    make_folder(root / place / "images", 5)
    make_folder(root / place, 5)
    for name in OUTPUTS[case]:
        (root / place / name).parent.mkdir(exist_ok=True)
        (root / place / name).write_text("{}")
    assert np.array_equal(all_images(FolderImages(root, image_size=4)), before)
    assert f"left out, as written by pcvae: {place}\n" in capsys.readouterr().err


def test_pictures_of_a_run_in_the_folder_of_the_data_itself_are_no_data(tmp_path, capsys):
    root = make_folder(tmp_path / "pictures", 12)
    make_folder(root / "images", 5)
    assert len(all_images(FolderImages(root, image_size=4))) == 17
    (root / "run.json").write_text("{}")
    assert len(all_images(FolderImages(root, image_size=4))) == 12
    assert "left out, as written by pcvae: images\n" in capsys.readouterr().err
    assert len(all_images(FolderImages(root / "images", image_size=4))) == 5  # asked for by name


def test_the_cache_below_the_data_is_no_data(tmp_path):
    root = make_folder(tmp_path / "pictures", 12)
    make_folder(root / "cache", 5)
    dataset = FolderImages(root, image_size=4, cache_dir=root / "cache")
    assert len(all_images(dataset)) == 12


@pytest.mark.parametrize("side", [40, 60])  # above the limit, and above that of Pillow's error
def test_a_picture_of_too_many_pixels_is_named_in_one_line(tmp_path, side, monkeypatch, recwarn):
    root = make_folder(tmp_path / "pictures", 12)
    Image.new("RGB", (side, side)).save(root / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UserError, match=r"1 of 13 .* 'large.png' \(.* pixels.*shrink") as raised:
        FolderImages(root, image_size=4).images("train")
    check_one_line(raised)
    assert len(all_images(FolderImages(root, image_size=4, skip_unreadable=True))) == 12
    assert not [w for w in recwarn if w.category is Image.DecompressionBombWarning]


def test_a_jpeg_that_can_be_decoded_at_a_fraction_may_be_larger(tmp_path, monkeypatch):
    root = make_folder(tmp_path / "pictures", 12)
    Image.new("RGB", (40, 40)).save(root / "large.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert len(all_images(FolderImages(root, image_size=4))) == 13


def test_profiles_that_cannot_be_used_are_counted_at_each_start(tmp_path, capsys):
    root = make_folder(tmp_path / "pictures", 12)
    plain = np.sort(all_images(FolderImages(root, image_size=4)), axis=0)
    for name in ("006.png", "000.png"):
        image = Image.open(root / name)
        image.load()
        image.save(root / name, icc_profile=b"no profile")
    for _ in range(2):
        capsys.readouterr()
        images = all_images(FolderImages(root, image_size=4))
        assert "profiles of 2 pictures cannot be used" in capsys.readouterr().err
        assert np.array_equal(np.sort(images, axis=0), plain)


def test_pictures_that_pcvae_wrote_are_no_data_unless_there_are_no_others(tmp_path, capsys):
    root = make_folder(tmp_path / "pictures", 40)
    for place in ("samples.png", "drawn/000000.png", "drawn/000001.png"):
        show.save_png(np.full((8, 8, 3), 200, np.uint8), root / place)
    for _ in range(2):  # each start says it
        assert len(all_images(FolderImages(root, image_size=4))) == 40
        said = capsys.readouterr().err
        assert "left out 3 pictures that pcvae wrote, such as 'drawn/000000.png'" in said
    for i in range(30):
        show.save_png(np.full((8, 8, 3), i, np.uint8), root / "drawn" / f"{i:06d}.png")
    assert len(all_images(FolderImages(root / "drawn", image_size=4))) == 30


def test_an_end_of_line_in_the_path_breaks_no_line(tmp_path, capsys):
    folder = tmp_path / "two\nlines"
    folder.mkdir()
    for index in range(30):
        Image.new("RGB", (4, 4), (8 * index, 0, 0)).save(folder / f"{index}.png")
    images = FolderImages(folder, 4)
    assert len(images.images("train")) + len(images.images("test")) > 20
    lines = capsys.readouterr().err.splitlines()
    assert lines and all(re.match(r"folder:.*/two\\nlines: ", line) for line in lines)
    assert images.name == f"folder:{tmp_path}/two\\nlines"
