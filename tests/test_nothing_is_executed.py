"""No module of pcvae has a way from a file to code, and the one of torch.load is closed."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pcvae"
MODULES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN_NAMES = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ENDS = {
    "load_model",
    "model_from_json",
    "model_from_config",
    "enable_unsafe_deserialization",
    "unsafe_load",
}
FORBIDDEN_IMPORTS = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def violations(source):
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            found += sorted({name.split(".")[0] for name in names} & FORBIDDEN_IMPORTS)
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        safe = options.get("safe_mode") == "True"  # Keras' own: no lambdas
        if name in FORBIDDEN_NAMES or (name.rsplit(".", 1)[-1] in FORBIDDEN_ENDS and not safe):
            found.append(name)
        if options.get("allow_pickle", "False") != "False":
            found.append("allow_pickle")
        if name == "torch.load" and options.get("weights_only") != "True":
            found.append(name)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module(path):
    assert violations(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "x = eval('1')",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "keras.saving.load_model(path)",
    ],
)
def test_the_check_sees_what_it_forbids(source):
    assert violations(source)
