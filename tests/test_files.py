import errno
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tensorflow as tf

from pcvae import models, training
from pcvae.errors import UserError, words_of
from pcvae.files import new_file, new_folder, read_text, told_when_full, write_json, write_together
from tests.models import tiny
from tests.no_room import no_room


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


def test_files_of_one_result_are_there_together_or_not_at_all(tmp_path):
    first, second = tmp_path / "first.json", tmp_path / "made" / "second.json"
    first.write_text("before")

    def write(text):
        writers = {first: lambda path: write_json("new", path)}
        write_together({**writers, second: lambda path: write_json(text, path)})

    with no_room(1000), pytest.raises(UserError, match=f"^{second} cannot be written: File too"):
        write("x" * 1000)
    assert first.read_text() == "before"
    assert (names(tmp_path), names(second.parent)) == (["first.json", "made"], [])
    write("x")
    assert (first.read_text(), second.read_text()) == ('"new"\n', '"x"\n')
    assert (names(tmp_path), names(second.parent)) == (["first.json", "made"], ["second.json"])


WRITE_AND_WAIT = """
import sys, time
from pathlib import Path
from pcvae.files import new_file, new_folder
folder = Path(sys.argv[1])
with new_file(folder / "a.txt") as partial, new_folder(folder / "out") as inside:
    partial.write_text("half")
    (inside / "b").write_text("half")
    print("now", flush=True)
    time.sleep(600)
"""
SWEEP = "import sys; from pcvae.files import write_text; write_text('', sys.argv[1] + '/c.txt')"


def test_leftovers_of_the_killed_go_and_those_of_the_living_stay(tmp_path):
    root = Path(__file__).parents[1]
    for name in (".note.part", "config.gin.tmp"):
        (tmp_path / name).write_text("somebody's own")
        os.utime(tmp_path / name, (0, 0))
    earlier = [".0123abcd.part.json", ".train-12-0123abcd.part", "config.gin.12.tmp"]
    earlier += ["report.html.partial", "train.jsonl.partial"]
    for name, days in (*((name, 2) for name in earlier), (".4567abcd.part.json", 0)):
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (0, time.time() - days * 24 * 3600))
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_AND_WAIT, tmp_path], cwd=root, stdout=subprocess.PIPE
    )
    assert writer.stdout.readline() == b"now\n"
    sweep = [sys.executable, "-c", SWEEP, tmp_path]
    subprocess.run(sweep, cwd=root, check=True)
    assert len(names(tmp_path)) == 6 and not set(earlier) & set(names(tmp_path))
    writer.kill()
    writer.communicate()
    subprocess.run(sweep, cwd=root, check=True)
    assert names(tmp_path) == [".4567abcd.part.json", ".note.part", "c.txt", "config.gin.tmp"]


FULL = [
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    tf.errors.ResourceExhaustedError(None, None, "/a/b; No space left on device"),
    tf.errors.UnknownError(None, None, "{{function_node x}} /a; File too large"),
]


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_a_full_disk_is_told_with_the_file_and_the_remedy(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(UserError) as told, new_file(path) as partial:
        partial.write_text("half")
        raise error
    assert str(told.value).startswith(f"{path} cannot be written: ")
    assert str(told.value).endswith("; free some space there and start again")
    assert "function_node" not in str(told.value)
    assert path.read_text() == "before" and names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), ValueError("3")])
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as raised, told_when_full("a"):
        raise error
    assert raised.value is error


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path), os.mkdir])
def test_a_text_that_may_never_end_is_not_read(tmp_path, make):
    make(tmp_path / "a.txt")
    with pytest.raises(UserError, match="a.txt: expected a text file, got no plain file"):
        read_text(tmp_path / "a.txt")


def test_what_tensorflow_says_comes_without_the_marks_of_its_graphs():
    error = tf.errors.UnknownError(None, None, "{{function_node __wrapped__X_/job:a}} /a;\n broken")
    assert words_of(error) == "/a; broken"


@pytest.mark.slow
def test_a_checkpoint_without_room_is_told_and_the_one_before_stays(tmp_path):
    """A limit on the size of files stands for a full disk: TensorFlow cannot write, either."""
    code = (
        "import os, resource, signal, sys, tensorflow as tf\n"
        "from pcvae import training\n"
        "from pcvae.errors import UserError\n"
        "value = tf.Variable(tf.zeros(100_000))\n"
        "checkpoints = training.Checkpoints(sys.argv[1], {'g': {'value': value}})\n"
        "checkpoints.save(1)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: checkpoints.save(2)\n"
        "except UserError as error: print(error)\n"
        "print(training.newest_step(sys.argv[1]), os.listdir(sys.argv[1]))\n"
    )
    root = Path(__file__).parents[1]
    told = subprocess.run(
        [sys.executable, "-c", code, tmp_path], cwd=root, capture_output=True, text=True, check=True
    )
    line, left = told.stdout.splitlines()
    assert "ckpt-2 could not be written (File too large); free some space" in line
    assert line.endswith("then start again: it goes on from ckpt-1")
    assert left.startswith("1 ") and ".partial" not in left and left.count("ckpt") == 2


def write_folder(folder):
    with new_folder(folder / "out") as inside:
        (inside / "a").write_text("whole")
        (inside / "deep").mkdir()
        (inside / "deep" / "b").write_text("whole")


def save_checkpoint(folder):
    training.Checkpoints(folder, {"model": {"a": tf.Variable([1.0])}}).save(1)


WRITERS = {
    "record": lambda folder: write_json({"a": 1}, folder / "record.json"),
    "model": lambda folder: models.write_model(tiny.vdvae(), folder / "model.json"),
    "folder": write_folder,
    "checkpoint": save_checkpoint,
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_what_gets_a_name_is_on_the_disk_before_and_the_name_after(writer, tmp_path, monkeypatch):
    """So that a loss of power leaves the old file or the new one, and never an empty one."""
    fsync, replace, done = os.fsync, os.replace, []

    def flushed(descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        done.append(("flushed", path, os.stat(path).st_ino))
        fsync(descriptor)

    def moved(source, target):
        inside = [
            os.path.join(place, file) for place, _, names in os.walk(source) for file in names
        ]
        done.append(("moved", os.fspath(target), {os.stat(p).st_ino for p in inside or [source]}))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", moved)
    writer(tmp_path)
    moves = [index for index, (what, *_) in enumerate(done) if what == "moved"]
    assert moves
    for index in moves:
        _, target, files = done[index]
        assert files <= {inode for what, _, inode in done[:index] if what == "flushed"}
        what, folder, _ = done[index + 1]
        assert (what, folder) == ("flushed", os.path.dirname(target))
