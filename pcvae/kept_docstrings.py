"""Libraries that put docstrings together while they are imported, under ``python -OO``.

It strips all docstrings, and these libraries then fail with a TypeError of their own.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

_LIBRARIES = ("tensorflow_probability", "tf_keras")


def keep_docstrings() -> None:
    """Lets the libraries keep their docstrings where Python strips them."""
    if sys.flags.optimize > 1:
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds the modules of the libraries where everybody finds them."""

    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in _LIBRARIES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Compiles as ``python -O`` does."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path, _optimize=1)
