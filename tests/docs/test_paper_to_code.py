"""The map from the papers to the code: every row has a symbol that exists, or says 'not built'."""

import pkgutil
import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "paper_to_code.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("|") and not line.startswith(("|---", "| in the paper"))
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_has_symbols_that_exist_or_says_not_built(row):
    _, _, where = row
    if where == "not built":
        return
    symbols = where.split(", ")
    for symbol in symbols:
        assert re.fullmatch(r"`pcvae(\.\w+)+`", symbol), where
        pkgutil.resolve_name(symbol.strip("`"))


def test_every_equation_of_the_paper_has_a_row():
    assert {f"equation {number}" for number in range(1, 8)} <= {row[0] for row in ROWS}
