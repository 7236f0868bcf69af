"""Locks of folders: the second is refused by the name of the first; what is gone is told apart."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from pcvae import locks
from pcvae.errors import UserError
from tests.no_room import no_room
from tests.plain_user import permissions_hold


def start(code, *arguments):
    """Starts a process that runs a code, and waits for its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    return process


HOLD = """
    import sys, time
    from pcvae import locks
    with locks.hold(sys.argv[1], "training"):
        print("held", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of tmp_path / "run"."""
    process = start(HOLD, tmp_path / "run")
    yield process
    process.kill()
    process.wait()


def rewrite(folder, **changes):
    """Changes the record in a lock, in the same file."""
    path = folder / locks.FILE_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def record_left_behind(folder):
    """Leaves the lock of a process that was killed."""
    process = start(HOLD, folder)
    process.kill()
    process.wait()
    return process.pid


def test_the_second_is_refused_by_the_name_of_the_first(tmp_path, holder):
    for attempt in (
        lambda: locks.hold(tmp_path / "run", "fit").__enter__(),
        lambda: locks.check_free(tmp_path / "run"),
    ):
        with pytest.raises(locks.Held) as error:
            attempt()
        assert f"pid {holder.pid} on {os.uname().nodename}, since 20" in str(error.value)
        assert "\n" not in str(error.value)
        assert error.value.holder["what"] == "training"
    assert isinstance(error.value, UserError)


def test_a_second_lock_in_the_same_process_is_refused_too(tmp_path):
    with locks.hold(tmp_path, "training"), pytest.raises(locks.Held, match=f"pid {os.getpid()} on"):
        locks.hold(tmp_path, "training").__enter__()


def test_an_orderly_end_leaves_nothing(tmp_path):
    with locks.hold(tmp_path / "a" / "run", "training"):
        locks_there = os.listdir(tmp_path / "a" / "run")
    assert locks_there == [locks.FILE_NAME] and os.listdir(tmp_path) == []
    with pytest.raises(ZeroDivisionError), locks.hold(tmp_path, "training"):
        raise ZeroDivisionError
    with locks.hold(tmp_path / "b", "training"):
        (tmp_path / "b" / "kept").touch()
    assert os.listdir(tmp_path / "b") == ["kept"]


def test_what_a_killed_process_has_left_is_taken_over_with_a_line(tmp_path, capsys):
    pid = record_left_behind(tmp_path)
    locks.check_free(tmp_path)
    assert capsys.readouterr().err == ""
    with locks.hold(tmp_path, "training"):
        pass
    line = capsys.readouterr().err
    assert f"pid {pid} " in line and "has ended without letting go; its lock is taken over" in line


def test_a_record_from_before_the_machine_was_started_anew(tmp_path, capsys):
    record_left_behind(tmp_path)
    rewrite(tmp_path, boot="another", pid=os.getpid())
    with locks.hold(tmp_path, "training"):
        pass
    assert "the machine was started anew" in capsys.readouterr().err


def test_a_number_that_another_process_has_by_now(tmp_path, capsys):
    record_left_behind(tmp_path)
    rewrite(tmp_path, pid=os.getpid())  # alive, but started at another time
    with locks.hold(tmp_path, "training"):
        pass
    assert "taken over" in capsys.readouterr().err


def test_another_machine_cannot_be_looked_at(tmp_path):
    record_left_behind(tmp_path)
    rewrite(tmp_path, boot="another", host="elsewhere")
    before = (tmp_path / locks.FILE_NAME).read_bytes()
    with pytest.raises(locks.Held, match="cannot be seen whether it still runs: look on elsewhere"):
        locks.hold(tmp_path, "training").__enter__()
    assert (tmp_path / locks.FILE_NAME).read_bytes() == before
    (tmp_path / locks.FILE_NAME).unlink()  # what the line says
    with locks.hold(tmp_path, "training"):
        pass


def test_another_container_on_the_same_kernel_is_told_by_the_kernel(tmp_path, capsys):
    record_left_behind(tmp_path)
    rewrite(tmp_path, host="container", processes="pid:[1]", pid=1)
    with locks.hold(tmp_path, "training"):
        pass
    assert "on container" in capsys.readouterr().err


def test_a_file_system_without_locks_goes_by_the_record(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    with pytest.raises(locks.Held, match=f"pid {holder.pid} "):
        locks.hold(tmp_path / "run", "training").__enter__()
    holder.kill()
    holder.wait()
    with locks.hold(tmp_path / "run", "training"):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '{"file": 0}', "\0" * 5000])
def test_a_file_that_names_nobody_is_free(tmp_path, text):
    (tmp_path / locks.FILE_NAME).write_text(text)
    with locks.hold(tmp_path, "training"):
        pass
    assert os.listdir(tmp_path) == []


def test_a_copy_of_a_folder_is_free(tmp_path, holder):
    (tmp_path / "copy").mkdir()
    content = (tmp_path / "run" / locks.FILE_NAME).read_bytes()
    (tmp_path / "copy" / locks.FILE_NAME).write_bytes(content)
    with locks.hold(tmp_path / "copy", "training"):
        pass


def test_a_folder_that_goes_away_is_noticed(tmp_path):
    with locks.hold(tmp_path / "run", "training") as lock:
        lock.check()
        (tmp_path / "run").rename(tmp_path / "moved")
        with pytest.raises(UserError, match="deleted or moved while its training went on"):
            lock.check()
        assert not (tmp_path / "run").exists()


def test_a_lock_whose_file_was_removed_is_taken_anew_unless_another_was_faster(tmp_path):
    with locks.hold(tmp_path, "training") as lock:
        (tmp_path / locks.FILE_NAME).unlink()
        lock.check()
        with pytest.raises(locks.Held):
            locks.check_free(tmp_path)
        (tmp_path / locks.FILE_NAME).unlink()
        process = start(HOLD, tmp_path)
        with pytest.raises(locks.Held, match=f"pid {process.pid} "):
            lock.check()
    assert (tmp_path / locks.FILE_NAME).exists()  # the other's
    process.kill()
    process.wait()


def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with permissions_hold(), pytest.raises(UserError, match="Permission denied"):
        locks.hold(tmp_path, "training").__enter__()
    tmp_path.chmod(0o700)


def test_many_at_once_are_one_at_a_time(tmp_path):
    code = """
        import os, sys, time
        from pcvae import locks
        print("started", flush=True)
        for _ in range(20):
            try:
                with locks.hold(sys.argv[1] + "/run", "training"):
                    os.mkdir(sys.argv[1] + "/alone")  # fails if another is in here
                    time.sleep(0.01)
                    os.rmdir(sys.argv[1] + "/alone")
            except locks.Held:
                pass
    """
    processes = [start(code, tmp_path) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4


def test_who_waits_says_for_whom_and_gets_its_turn(tmp_path, capsys):
    process = start(HOLD.replace("60", "1.5"), tmp_path / "run")
    with locks.hold_in_turn(tmp_path / "run", "evaluation"):
        process.wait()
        assert json.loads((tmp_path / "run" / locks.FILE_NAME).read_text())["what"] == "evaluation"
    said = capsys.readouterr().err
    assert said.count(f"run: waiting for training (pid {process.pid} on ") == said.count("\n") == 1


def test_nobody_waits_for_one_that_may_have_ended(tmp_path):
    record_left_behind(tmp_path / "run")
    rewrite(tmp_path / "run", host="elsewhere", boot="another")
    with (
        pytest.raises(locks.Held, match="look on elsewhere"),
        locks.hold_in_turn(tmp_path / "run", "evaluation"),
    ):
        pass


def test_a_lock_without_room_for_its_record_leaves_nothing(tmp_path):
    message = "run/.lock cannot be written: .*; free some space"
    with (
        no_room(),
        pytest.raises(UserError, match=message),
        locks.hold(tmp_path / "run", "training", "free some space"),
    ):
        pass
    assert not (tmp_path / "run").exists()
