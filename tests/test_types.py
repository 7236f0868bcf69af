"""Every public function and method says the types of its arguments and of what it returns.

Whether they are right is the type checker's to say; that they are there is this test's.
"""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pcvae"
MODULES = sorted(PACKAGE.rglob("*.py"))


def _is_public(name):
    return not name.startswith("_") or name in ("__init__", "__call__")


def _functions(body, prefix="", in_class=False):
    """Yields (name, definition, whether it is a method) of what a module offers its readers."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _functions(node.body, f"{prefix}{node.name}.", True)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_public(node.name):
            yield f"{prefix}{node.name}", node, in_class
        elif isinstance(node, ast.If | ast.Try):
            yield from _functions(ast.iter_child_nodes(node), prefix, in_class)


def _untyped(source):
    """Yields what lacks a type: ``VDVAE.walk: plan``, or ``returns`` for a result.

    The first argument of a method, self or cls, needs none; ``*args`` and ``**kwargs`` do.
    """
    for name, function, is_method in _functions(ast.parse(source).body):
        spec = function.args
        arguments = [*spec.posonlyargs, *spec.args]
        decorators = {ast.unparse(decorator) for decorator in function.decorator_list}
        if is_method and "staticmethod" not in decorators:
            arguments = arguments[1:]
        arguments += [*spec.kwonlyargs, *filter(None, (spec.vararg, spec.kwarg))]
        yield from (f"{name}: {one.arg}" for one in arguments if one.annotation is None)
        if function.returns is None:
            yield f"{name}: returns"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_public_signatures_are_typed(path):
    assert list(_untyped(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "lacking"),
    [
        ("def f(x: int) -> int: ...", []),
        ("def f(x, *, y): ...", ["f: x", "f: y", "f: returns"]),
        ("def f(*args, **kwargs) -> None: ...", ["f: args", "f: kwargs"]),
        ("def _f(x): ...", []),
        ("class A:\n    def __init__(self, x): ...", ["A.__init__: x", "A.__init__: returns"]),
        ("class A:\n    def __len__(self): ...", []),
        ("class A:\n    @staticmethod\n    def f(x) -> int: ...", ["A.f: x"]),
        ("class _A:\n    def f(self, x): ...", []),
        ("class A:\n    class B:\n        def f(self): ...", ["A.B.f: returns"]),
        ("if True:\n    def f(): ...", ["f: returns"]),
        ("def f() -> None:\n    def inner(x): ...", []),
    ],
)
def test_the_check_sees_what_lacks_a_type(source, lacking):
    assert list(_untyped(source)) == lacking
