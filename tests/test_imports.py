"""Who may import whom: one way, as in the table; and what no module may use."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pcvae"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 300

EVERYWHERE = (
    *("checks", "errors", "files", "greetings", "kept_docstrings", "leftovers", "locks", "memory"),
    *("processes", "progress", "registration", "signals", "sources"),
)
# room -> the rooms that its modules may import, beside itself and those that serve all
ARROWS = {
    "__init__": {"runs"},
    "__main__": {"cli"},
    "commands": {"cli"},
    "cli": {"gin_utils", "runs", "studies"},
    "studies": {
        *("runs", "training", "measure", "show", "models", "layers", "objectives", "distributions"),
        *("outputs", "units", "tables", "quantities", "wording"),
    },
    "runs": {
        *("training", "measure", "show", "export", "data", "models", "objectives"),
        *("quantities", "tables", "wording"),
    },
    "training": {
        *("objectives", "outputs", "units", "distributions", "variables", "quantities"),
        *("tracing", "wording"),
    },
    "evaluation": {"measure", "show", "quantities", "tables"},
    "show": {"measure", "units", "quantities", "tables"},
    "measure": {
        *("models", "objectives", "units", "distributions", "quantities", "tables", "wording"),
        "tracing",
    },
    "quantities": {"tables"},
    "export": {"models", "distributions", "tracing"},
    "objectives": {"outputs", "units", "distributions", "variables", "quantities", "wording"},
    "models": {"layers", "distributions", "outputs", "tracing", "units", "variables"},
    "layers": {"distributions", "outputs", "tracing", "units"},
    "distributions": {"units"},
    "data": {"units"},
    "gin_utils": set(),
    "tables": set(),
    "wording": {"units"},
    "outputs": set(),
    "units": set(),
    "tracing": set(),
    "variables": set(),
    **{room: set() for room in EVERYWHERE},
}
GIN_ROOMS = {"gin_utils", "cli"}
KERAS_2 = (
    "tf.keras",
    "tensorflow.keras",
    "tf_keras",
    "tfp.layers",
    "tensorflow_probability.layers",
)


def _room(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def _imports(source):
    """Yields the full name of everything that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _used_names(source):
    """Yields every dotted name in a module, as written: tf.keras.Model."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name.replace(".", "").isidentifier():
                yield name


def _below(name, roots):
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def _rooms_imported(source):
    names = (name.split(".") for name in _imports(source))
    return {parts[1] for parts in names if parts[0] == "pcvae" and len(parts) > 1}


def violations(room, source):
    """Returns what the source of a module in a room may not do."""
    found = []
    allowed = ARROWS[room] | {room, *EVERYWHERE}
    found += [f"imports {other}" for other in sorted(_rooms_imported(source) - allowed)]
    for name in _imports(source):
        if _below(name, ["gin"]) and room not in GIN_ROOMS:
            found.append("imports gin")
        if _below(name, ["tensorflow_probability"]) and room != "distributions":
            found.append("imports tensorflow_probability")
        if _below(name, KERAS_2):
            found.append(f"imports {name}")
    found += [f"uses {name}" for name in _used_names(source) if _below(name, KERAS_2)]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_keeps_to_its_room(path):
    source = path.read_text(encoding="utf-8")
    assert violations(_room(path), source) == []
    assert len(source.splitlines()) <= MAX_LINES


def test_the_arrows_have_no_way_back():
    """Repeatedly takes away the rooms that import nothing that is left."""
    left = {room: set(others) for room, others in ARROWS.items()}
    while left:
        ends = {room for room, others in left.items() if not others & set(left)}
        assert ends, f"a circle among {sorted(left)}"
        left = {room: others for room, others in left.items() if room not in ends}


def test_no_drawer_modules():
    assert not {path.name for path in MODULES} & {"utils.py", "core.py", "common.py", "misc.py"}


def test_no_package_hides_gin():
    """A folder gin/ with __init__.py would be imported in place of the gin library."""
    assert not list((PACKAGE.parent / "gin").rglob("__init__.py"))
    assert not (PACKAGE.parent / "gin.py").exists()


@pytest.mark.parametrize(
    ("room", "source", "says"),
    [
        ("layers", "from pcvae.models import VDVAE", "imports models"),
        ("layers", "from pcvae import models", "imports models"),
        ("training", "def f():\n    import pcvae.data.cache", "imports data"),
        ("models", "import gin", "imports gin"),
        ("models", "from gin import config", "imports gin"),
        ("layers", "import tensorflow_probability as tfp", "imports tensorflow_probability"),
        ("layers", "x = tf.keras.layers.Dense(1)", "uses tf.keras.layers.Dense"),
        ("layers", "from tensorflow import keras", "imports tensorflow.keras"),
        ("distributions", "x = tfp.layers.DenseFlipout", "uses tfp.layers.DenseFlipout"),
    ],
)
def test_the_check_sees_what_it_forbids(room, source, says):
    assert says in violations(room, source)


def test_the_check_lets_the_rest_pass():
    source = (
        "import keras\nimport tensorflow as tf\nfrom pcvae import units\nx = keras.layers.Dense"
    )
    assert violations("layers", source) == []
