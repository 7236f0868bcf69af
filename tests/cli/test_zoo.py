"""The lists of `pcvae-zoo` are those of the registry and of the gin files."""

from pathlib import Path

import pytest

from pcvae import gin_utils, models
from pcvae.cli import listing
from pcvae.cli.commands import zoo
from pcvae.models.registry import registered_models


def test_it_names_every_model_and_every_file(capsys):
    assert zoo.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert models.VDVAE.__name__ in registered_models()
    named = {line.split()[0] for line in lines if line.startswith("  ")}
    shipped = gin_utils.shipped_gin_folder()
    rooms = ("models", "cells", "objectives", "experiments")
    files = {f"{room}/{path.name}" for room in rooms for path in (shipped / room).glob("*.gin")}
    assert named == files | set(registered_models())


def test_expected_results_are_those_of_the_headers(capsys):
    assert zoo.main(["--expected"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Expected: 2.87 bits/dim as published. Not run by us: it needs days on several" in text


@pytest.mark.parametrize(
    ("text", "summary", "expected"),
    [
        (
            "# One (eq. 2) of et al. 2016. Two.\n#\n# Expected: 3\n# of 4.\n\nX = 1",
            "One (eq. 2) of et al. 2016",
            "Expected: 3 of 4.",
        ),
        ("X = 1\n# no header\n", "", ""),
    ],
)
def test_a_header_ends_where_the_comment_does(text, summary, expected, tmp_path):
    path = Path(tmp_path) / "a.gin"
    path.write_text(text)
    assert listing.header_of(path) == (summary, expected)
