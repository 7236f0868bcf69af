"""A flag is declared once: what two commands have stands in shared_flags."""

import ast
from collections import Counter
from pathlib import Path

import pytest
from absl import flags

from pcvae.cli import shared_flags

FOLDER = Path(shared_flags.__file__).parent


def _declared(path):
    """Yields the names of the flags that a module declares by itself."""
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    for call in calls:
        if ast.unparse(call.func).startswith("flags.DEFINE_") and len(call.args) > 1:
            yield ast.literal_eval(call.args[0])


def test_no_flag_is_declared_twice():
    own = Counter(
        name
        for path in FOLDER.rglob("*.py")
        if path != Path(shared_flags.__file__)
        for name in _declared(path)
    )
    assert own["first_stage"] == 1
    assert [name for name, count in own.items() if count > 1] == []
    assert set(own) & set(shared_flags._SHARED) == set()


def test_a_command_gives_what_differs_and_keeps_the_rest():
    values = flags.FlagValues()
    shared_flags.define(values, "num_images", "How many pairs.", default=8)
    assert values["num_images"].default == 8
    assert values["num_images"].help == "How many pairs."
    with pytest.raises(flags.IllegalFlagValueError, match="num_images"):
        values(["pcvae", "--num_images=0"])
    other = flags.FlagValues()
    shared_flags.define(other, "num_images")
    assert other["num_images"].default is None
