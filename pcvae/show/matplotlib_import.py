"""Imports Matplotlib, whatever the user's settings say.

MPLBACKEND may name a backend that is not there, as in a notebook whose kernel has an environment of
its own, and a matplotlibrc may be no text: then Matplotlib is not imported, and nothing here needs
either of them.
"""

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator

_NO_SETTINGS = {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}


def import_matplotlib() -> None:
    """Imports Matplotlib; without the user's settings, if it cannot be imported with them."""
    try:
        importlib.import_module("matplotlib")
    except ValueError:
        for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
            del sys.modules[name]  # they belong to the package that is not there
        with _without_settings():
            importlib.import_module("matplotlib")


@contextlib.contextmanager
def _without_settings() -> Iterator[None]:
    """Hides the variables, and the working directory, where a matplotlibrc comes first."""
    before = {name: os.environ.get(name) for name in _NO_SETTINGS}
    os.environ.update(_NO_SETTINGS)
    try:
        with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


import_matplotlib()
