"""Docstrings as they stand in the source: ``python -OO`` has none."""

import ast
from pathlib import Path


def docstring_of(path: str | Path) -> str:
    """Returns the docstring of the module in a file; empty if it has none."""
    return ast.get_docstring(ast.parse(Path(path).read_text("utf-8"))) or ""
