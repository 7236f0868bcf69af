import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from pcvae.data import cache
from pcvae.data.cache import SplitWriter, cache_root, cached_splits, content_hash
from pcvae.errors import UserError

SHAPE = (2, 3, 1)
SPLITS = ("train", "test")


def image(value):
    return np.full(SHAPE, value, np.uint8)


def prepare_two(writers):
    for split, values in {"train": (1, 2, 3), "test": (4,)}.items():
        for value in values:
            writers[split].write(image(value))


def refuse(writers):
    raise AssertionError("must not be prepared again")


def test_what_was_written_is_read_without_preparing_again(tmp_path):
    first = cached_splits(tmp_path / "new", SPLITS, SHAPE, prepare_two)
    again = cached_splits(tmp_path / "new", SPLITS, SHAPE, refuse)
    for arrays in (first, again):
        assert arrays["train"].tolist() == [image(value).tolist() for value in (1, 2, 3)]
        assert arrays["test"].tolist() == [image(4).tolist()]
        assert isinstance(arrays["train"], np.memmap) and not arrays["train"].flags.writeable
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["test.npy", "train.npy"]


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
    for i in range(100):
        time.sleep(0.003)
        writers["train"].write(np.full((8, 8, 3), i, np.uint8))

array = cached_splits(sys.argv[1], ("train",), (8, 8, 3), prepare)["train"]
assert (array[:, 0, 0, 0] == np.arange(100)).all() and array.shape == (100, 8, 8, 3)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["train.npy"]


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
