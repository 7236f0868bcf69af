import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from pcvae.data import SyntheticImages, cache, file_hashes
from pcvae.data.cache import INDEX, SplitWriter, cache_root, cached_splits, content_hash
from pcvae.errors import UserError
from tests.no_room import no_room

SHAPE = (2, 3, 1)
SPLITS = ("train", "test")


def image(value):
    return np.full(SHAPE, value, np.uint8)


def prepare_two(writers):
    for split, values in {"train": (1, 2, 3), "test": (4,)}.items():
        for value in values:
            writers[split].write(image(value))


def names_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != INDEX)


def refuse(writers):
    raise AssertionError("must not be prepared again")


def test_what_was_written_is_read_without_preparing_again(tmp_path):
    first = cached_splits(tmp_path / "new", SPLITS, SHAPE, prepare_two)
    again = cached_splits(tmp_path / "new", SPLITS, SHAPE, refuse)
    for arrays in (first, again):
        assert arrays["train"].tolist() == [image(value).tolist() for value in (1, 2, 3)]
        assert arrays["test"].tolist() == [image(4).tolist()]
        assert isinstance(arrays["train"], np.memmap) and not arrays["train"].flags.writeable
    assert names_in(tmp_path / "new") == ["record.json", "test.npy", "train.npy"]


def test_a_failed_preparation_leaves_nothing(tmp_path):
    def fail(writers):
        writers["train"].write(image(1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_splits(tmp_path, SPLITS, SHAPE, fail)
    assert list(tmp_path.iterdir()) == []
    assert len(cached_splits(tmp_path, SPLITS, SHAPE, prepare_two)["train"]) == 3


@pytest.mark.parametrize("length", [0, 5, 100, 133])
def test_a_truncated_file_is_prepared_again(tmp_path, length):
    cached_splits(tmp_path, SPLITS, SHAPE, prepare_two)
    content = (tmp_path / "train.npy").read_bytes()
    (tmp_path / "train.npy").write_bytes(content[:length])
    arrays = cached_splits(tmp_path, SPLITS, SHAPE, prepare_two)
    assert arrays["train"].tolist() == [image(value).tolist() for value in (1, 2, 3)]


def test_a_file_of_another_shape_is_prepared_again(tmp_path):
    np.save(tmp_path / "train.npy", np.zeros((5, 2, 2, 1), np.uint8))
    np.save(tmp_path / "test.npy", np.zeros((5, *SHAPE), np.float32))
    assert len(cached_splits(tmp_path, SPLITS, SHAPE, prepare_two)["test"]) == 1


def test_the_header_counts_many_images(tmp_path):
    with SplitWriter(tmp_path / "many.npy", (1, 1, 1)) as writer:
        for i in range(12_345):
            writer.write(np.full((1, 1, 1), i % 256, np.uint8))
    array = np.load(tmp_path / "many.npy")
    assert np.array_equal(array.ravel(), np.arange(12_345) % 256)


@pytest.mark.parametrize("wrong", [np.zeros((3, 2, 1), np.uint8), np.zeros(SHAPE, np.float32)])
def test_only_images_of_the_shape_are_written(tmp_path, wrong):
    with pytest.raises(ValueError, match="expected a uint8 image"):
        cached_splits(tmp_path, SPLITS, SHAPE, lambda writers: writers["train"].write(wrong))


@pytest.mark.slow
def test_two_processes_at_once_both_get_whole_files(tmp_path):
    program = """
import sys, time
import numpy as np
from pcvae.data.cache import cached_splits

def prepare(writers):
    print("filled", file=sys.stderr)
    for i in range(100):
        time.sleep(0.003)
        writers["train"].write(np.full((8, 8, 3), i, np.uint8))

array = cached_splits(sys.argv[1] + "/new", ("train",), (8, 8, 3), prepare)["train"]
assert (array[:, 0, 0, 0] == np.arange(100)).all() and array.shape == (100, 8, 8, 3)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert names_in(tmp_path / "new") == ["record.json", "train.npy"]
    filled = [text.count("filled") for text in said]
    waited = [f"waiting for the preparation of images (pid {processes[i].pid}" for i in (1, 0)]
    assert sum(filled) == 1  # the other one waits for it, or comes later
    assert [wait in text for wait, text in zip(waited, said, strict=True)].count(True) <= 1
    assert "waiting" not in said[filled.index(1)]


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "a flipped bit": (lambda folder: flip(folder / "train.npy"), "train.npy has changed"),
    "cut short": (lambda folder: os.truncate(folder / "train.npy", 131), "train.npy has changed"),
    "a byte more": (lambda folder: (folder / "test.npy").open("ab").write(b"x"), "test.npy has"),
    "another split's file": (
        lambda folder: shutil.copy(folder / "train.npy", folder / "test.npy"),
        "test.npy has changed",
    ),
    "gone": (lambda folder: (folder / "test.npy").unlink(), "test.npy is gone"),
    "no record": (lambda folder: (folder / "record.json").write_text("{"), "record.json cannot be"),
    "an empty record": (lambda folder: (folder / "record.json").write_text("{}"), "record.json"),
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("case", DAMAGE)
def test_changed_files_are_named_and_prepared_again(tmp_path, case, old, monkeypatch, capsys):
    if old:  # hashes of files that were written long ago are remembered
        monkeypatch.setattr(file_hashes, "SETTLED_SECONDS", -60.0)
    damage, message = DAMAGE[case]
    folder = tmp_path / "new"
    cached_splits(folder, SPLITS, SHAPE, prepare_two, "a source")
    if old:
        os.utime(folder / "train.npy", ns=(10**18, 10**18))
        cached_splits(folder, SPLITS, SHAPE, refuse, "a source")
    capsys.readouterr()
    damage(folder)
    arrays = cached_splits(folder, SPLITS, SHAPE, prepare_two, "a source")
    assert arrays["train"].tolist() == [image(value).tolist() for value in (1, 2, 3)]
    assert arrays["test"].tolist() == [image(4).tolist()]
    said = capsys.readouterr().err
    assert said.startswith("a source: ") and message in said and "prepared anew" in said
    cached_splits(folder, SPLITS, SHAPE, refuse, "a source")
    assert capsys.readouterr().err == ""


def test_what_a_killed_process_has_left_is_swept_and_what_a_live_one_writes_is_not(tmp_path):
    program = "import sys, time\nfrom pcvae import locks\nfrom pcvae.files import new_file\n"
    program += "with locks.hold(sys.argv[1], '-'), new_file(sys.argv[1] + '/train.npy') as part:\n"
    program += " part.write_text('half'); print(part, flush=True); time.sleep(60)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    fillers, parts = {}, {}
    for name in ("killed", "live", "again"):
        command = [sys.executable, "-c", program, str(tmp_path / name)]
        fillers[name] = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        parts[name] = Path(fillers[name].stdout.readline().decode().strip())
        assert parts[name].exists()
    for name in ("killed", "again"):
        fillers[name].kill()
        fillers[name].wait()
    try:
        cached_splits(tmp_path / "again", SPLITS, SHAPE, prepare_two)
        assert [part.exists() for part in parts.values()] == [False, True, False]
        assert names_in(tmp_path / "again") == ["record.json", "test.npy", "train.npy"]
        assert os.listdir(tmp_path / "killed") == []
    finally:
        fillers["live"].kill()
        fillers["live"].wait()


def test_a_full_disk_is_told_with_file_and_remedy_and_leaves_what_was_whole(tmp_path):
    folder = tmp_path / "new"
    cached_splits(folder, SPLITS, SHAPE, prepare_two)
    flip(folder / "train.npy")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def prepare_many(writers):
        for _ in range(10_000):
            writers["train"].write(image(1))

    message = r"new/train.npy'.*set PCVAE_CACHE_DIR to a folder with room"
    with no_room(20_000), pytest.raises(UserError, match=message) as raised:
        cached_splits(folder, SPLITS, SHAPE, prepare_many)
    assert "\n" not in str(raised.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_images_without_room_are_refused_before_the_first_is_written(tmp_path):
    dataset = SyntheticImages(256, num_train_images=10**12, cache_dir=tmp_path / "cache")
    message = (
        r"1,000,000,003,000 images of 256x256x3 take 196,608,000.6 GB prepared, and .*[GM]B free"
    )
    with pytest.raises(UserError, match=message) as raised:
        dataset.images("train")
    assert "\n" not in str(raised.value) and "PCVAE_CACHE_DIR" in str(raised.value)
    assert not (tmp_path / "cache").exists() or not names_in(tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_explained_in_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="PCVAE_CACHE_DIR") as raised:
        cached_splits(tmp_path / "file" / "folder", SPLITS, SHAPE, prepare_two)
    assert "\n" not in str(raised.value)


def test_the_cache_folder_is_the_argument_then_the_variable_then_home(monkeypatch, tmp_path):
    monkeypatch.setenv("PCVAE_CACHE_DIR", str(tmp_path / "variable"))
    assert cache_root(tmp_path / "argument") == tmp_path / "argument"
    assert cache_root() == tmp_path / "variable"
    monkeypatch.delenv("PCVAE_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "pcvae"


@pytest.mark.parametrize("home", ["a relative path", "{}/file"])
def test_without_a_home_the_cache_is_a_temporary_folder_of_ones_own(
    monkeypatch, tmp_path, capsys, home
):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.delenv("PCVAE_CACHE_DIR")
    monkeypatch.setenv("HOME", home.format(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache._temporary_root.cache_clear()
    try:
        root = cache_root()
        assert root == cache_root()
        assert (root.parent, root.stat().st_mode & 0o777) == (tmp_path, 0o700)
        assert capsys.readouterr().err.count("PCVAE_CACHE_DIR names another folder\n") == 1

        cache._temporary_root.cache_clear()
        root.chmod(0o777)  # as somebody would leave it who waits for others to use it
        with pytest.raises(UserError, match="is somebody else's: set PCVAE_CACHE_DIR"):
            cache_root()
    finally:
        cache._temporary_root.cache_clear()


def test_the_hash_depends_on_every_part_and_not_on_their_order():
    content = {"a": 1, "b": [2, "three"]}
    assert content_hash(content) == content_hash(
        json.loads(json.dumps({"b": [2, "three"], "a": 1}))
    )
    others = [{"a": 1}, {"a": 2, "b": [2, "three"]}, {"a": 1, "b": [2, "Three"]}]
    assert len({content_hash(other) for other in (content, *others)}) == 4
