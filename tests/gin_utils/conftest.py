"""Makes toy_library importable by that name, as gin files need it."""

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.gin_registry import own_registry  # noqa: F401 - for every test here


def _load():
    if "toy_library" not in sys.modules:
        path = Path(__file__).parent / "toy_library.py"
        spec = importlib.util.spec_from_file_location("toy_library", path)
        sys.modules["toy_library"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["toy_library"])
    return sys.modules["toy_library"]


@pytest.fixture
def toys():
    library = _load()
    library.calls.clear()
    return library


BASE = """\
from __gin__ import dynamic_registration
import toy_library

STEPS = %gin.REQUIRED
WIDTH = 16

toy_library.train:
  model_fn = @toy_library.Model
  dataset = @toy_library.from_spec()
  steps = %STEPS
toy_library.Model.width = %WIDTH
toy_library.from_spec.spec = 'synthetic'
"""


@pytest.fixture
def gin_folder(tmp_path, monkeypatch):
    """A working directory with base.gin, which needs STEPS, and exp.gin, which sets it to 5."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.gin").write_text(BASE)
    (tmp_path / "exp.gin").write_text("include 'base.gin'\nSTEPS = 5\n")
    return tmp_path
