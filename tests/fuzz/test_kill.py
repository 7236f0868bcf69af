"""A fit that is killed ends as one that nobody touched; see kill.py."""

import itertools
import os
import shutil

import numpy as np
import pytest

from pcvae import runs
from tests.fuzz import kill
from tests.runs.untrained_run import write_run

pytestmark = pytest.mark.slow


def test_a_kill_changes_no_bit(tmp_path, eagerly):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=pixels)
    first = write_run(tmp_path / "first", tmp_path / "images.npz")
    numbers = itertools.count()

    def make_run():
        return shutil.copytree(first, tmp_path / f"run-{next(numbers)}")

    whole = make_run()
    runs.fit_prefix_decoders(run_dir=whole, **kill.FIT_ARGUMENTS)
    expected = kill.state(whole)
    assert [name for name in expected if "train.jsonl" in name][-1].endswith("line 5")
    environment = {**os.environ, "PYTHONPATH": str(kill.OP_BY_OP)}
    assert kill.check(make_run, kill.fit, 1, 0, environment, expected, 0.5, 6) == []
