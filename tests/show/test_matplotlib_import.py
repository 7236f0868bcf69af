"""Matplotlib is imported whatever the user's settings say."""

import os
import subprocess
import sys

import pytest

from pcvae.show import matplotlib_import

PROGRAM = """
import os, runpy, sys
runpy.run_path(sys.argv[1])
import matplotlib.figure
print(matplotlib.get_backend(), os.environ.get("MPLBACKEND"), os.getcwd() == sys.argv[2])
"""


@pytest.mark.parametrize(
    ("backend", "settings", "expected"),
    [
        ("pdf", b"", "pdf pdf True"),  # what is in order is heeded
        ("module://matplotlib_inline_of_another_kernel", b"", None),
        ("no_backend", b"", "agg no_backend True"),
        ("pdf", b"font.family: \xe9\n", "agg pdf True"),
    ],
)
def test_matplotlib_is_imported_whatever_the_settings(tmp_path, backend, settings, expected):
    (tmp_path / "matplotlibrc").write_bytes(settings)
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, matplotlib_import.__file__, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert expected is None or result.stdout == f"{expected}\n"
