import math

import pytest

from pcvae.errors import UserError
from pcvae.files import new_file, new_folder, write_json


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_cannot_be_written_leaves_the_file_that_is_there(tmp_path):
    path = tmp_path / "made" / "record.json"
    write_json({"a": 1.5}, path)
    with pytest.raises(ValueError):
        write_json({"a": math.nan}, path)
    assert path.read_text() == '{\n  "a": 1.5\n}\n'
    assert names(path.parent) == ["record.json"]


def test_an_error_inside_leaves_the_file_that_is_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), new_file(path) as partial:
        assert partial.suffix == ".txt"
        partial.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("half")
        raise KeyboardInterrupt
    assert names(tmp_path) == []
    with new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("whole")
    assert (tmp_path / "out" / "a").read_text() == "whole"
    with pytest.raises(UserError, match="out.*found a"), new_folder(tmp_path / "out"):
        pass
