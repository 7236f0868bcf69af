"""A file is known by its bytes, and they are read again only when they may have changed."""

import hashlib
import json
import os

import pytest

from pcvae.data import file_hashes
from pcvae.data.file_hashes import FileHashes
from pcvae.errors import UserError
from tests.no_room import no_room


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def settled(monkeypatch):
    """Files that were written just now count as written long ago."""
    monkeypatch.setattr(file_hashes, "SETTLED_SECONDS", -60.0)


def replace(path, content, times):
    """Puts another file in the place of one, with its size and times."""
    other = path.with_name("other")
    other.write_bytes(content)
    os.utime(other, ns=times)
    os.replace(other, path)


def test_hashes_are_those_of_all_bytes_and_none_of_what_cannot_be_read(tmp_path):
    contents = {f"{i}": bytes([i]) * i for i in range(200)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    files = {name: tmp_path / name for name in [*contents, "missing"]}
    found = FileHashes(tmp_path / "index.json").of(files, "files")
    assert list(found) == list(files) and found.pop("missing") is None
    assert found == {name: sha256(content) for name, content in contents.items()}


def test_equal_sizes_and_times_do_not_deceive(tmp_path, settled):
    path = tmp_path / "a"
    times = (10**18, 10**18)
    for content in (b"first", b"other"):
        replace(path, content, times)
        found = FileHashes(tmp_path / "index.json").of({"a": path}, "files")
        assert found == {"a": sha256(content)}


def remembers(tmp_path):
    """Says whether a second look believes the index, in which another hash is put."""
    path, index = tmp_path / "a", tmp_path / "index.json"
    FileHashes(index).of({"a": path}, "files")
    if not index.exists():
        return False
    content = json.loads(index.read_text())
    content["a"][1] = "remembered"
    index.write_text(json.dumps(content))
    return FileHashes(index).of({"a": path}, "files") == {"a": "remembered"}


def test_what_stays_as_it_was_is_not_read_again(tmp_path, settled):
    (tmp_path / "a").write_bytes(b"first")
    assert remembers(tmp_path)


def test_what_was_written_just_now_is_read_again(tmp_path):
    (tmp_path / "a").write_bytes(b"first")
    assert not remembers(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"a": 3}', '{"a": [1, 2, 3]}', "\0"])
def test_a_damaged_index_is_as_none(tmp_path, settled, content):
    (tmp_path / "a").write_bytes(b"first")
    (tmp_path / "index.json").write_text(content)
    found = FileHashes(tmp_path / "index.json").of({"a": tmp_path / "a"}, "files")
    assert found == {"a": sha256(b"first")}


def test_an_index_that_cannot_be_written_only_costs_time(tmp_path, settled):
    (tmp_path / "file").write_bytes(b"first")
    index = tmp_path / "file" / "index.json"
    found = FileHashes(index).of({"a": tmp_path / "file"}, "files")
    assert found == {"a": sha256(b"first")}
    with no_room():
        found = FileHashes(tmp_path / "index.json").of({"a": tmp_path / "file"}, "files")
    assert found == {"a": sha256(b"first")}
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("change", ["write", "remove"])
def test_a_change_in_the_meantime_is_named(tmp_path, change):
    path = tmp_path / "a"
    path.write_bytes(b"first")
    hashes = FileHashes(tmp_path / "index.json")
    hashes.of({"a": path}, "files")
    hashes.check_unchanged()
    path.write_bytes(b"longer than it was") if change == "write" else path.unlink()
    with pytest.raises(UserError, match="a has changed while it was read"):
        hashes.check_unchanged()
