import re
import threading

from pcvae import progress
from pcvae.progress import with_progress


def test_items_pass_unchanged_and_fast_work_prints_one_line(capsys):
    assert list(with_progress(iter("abc"), 3, "work")) == ["a", "b", "c"]
    assert re.fullmatch(r"work: 3 done in \d+\.\d s\n", capsys.readouterr().err)


def test_slow_work_prints_its_share_and_the_time_left(capsys, monkeypatch):
    seconds = iter(range(0, 1000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(seconds)))
    list(with_progress(range(10), 10, "work"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "work: 3 of 10 (30%), 7 s left"  # one second for each item
    assert lines[1] == "work: 6 of 10 (60%), 4 s left"
    assert lines[2] == "work: 9 of 10 (90%), 1 s left"
    assert len(lines) == 4


def test_the_time_left_is_not_that_of_the_first_item(capsys, monkeypatch):
    """It may trace a graph: here it takes a hundred seconds, the others two each."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    for item in with_progress(range(10), 10, "work"):
        now[0] += 2.0 if item else 100.0
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["work: 1 of 10 (10%)", "work: 3 of 10 (30%), 14 s left"]


def test_one_long_call_says_that_it_goes_on_and_a_short_one_nothing(capsys, monkeypatch):
    said = threading.Event()

    def report(line):
        print(line)
        said.set()

    monkeypatch.setattr(progress, "report", report)
    with progress.waiting("drawing"):
        pass
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.01)
    with progress.waiting("drawing"):
        assert said.wait(60)
    assert capsys.readouterr().out.startswith("drawing: 0 s so far\n")
