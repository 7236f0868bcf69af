"""What models and gin files say of themselves, read from their source: nothing is imported."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

_MODELS = Path(__file__).parents[1] / "models"


class Header(NamedTuple):
    """The comment at the top of a gin file."""

    summary: str  # its first sentence
    expected: str  # from "Expected:" on; empty if it says nothing of that kind


def model_summaries() -> dict[str, str]:
    """Returns {class: first sentence of its docstring} of the registered models, sorted."""
    found = {}
    for path in _MODELS.glob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and any(map(_registers, node.decorator_list)):
                found[node.name] = _first_sentence(ast.get_docstring(node) or "")
    return dict(sorted(found.items()))


def header_of(path: Path) -> Header:
    """Returns what the comment at the top of a gin file says."""
    lines = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").strip())
    text = "\n".join(lines)
    expected = re.search(r"^Expected: (.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return Header(_first_sentence(text), " ".join(expected[0].split()) if expected else "")


def _registers(decorator):
    return ast.unparse(decorator).split(".")[-1] == "register"


def _first_sentence(text):
    """Returns a text up to its first full stop or empty line, as one line."""
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"\.(?= [A-Z]|$)", paragraph)[0]
