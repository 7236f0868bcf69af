"""What TensorFlow says on standard error while it is imported, at any log level, is dropped."""

import contextlib
import importlib.abc
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any


def drop_greetings() -> None:
    """Lets the next import of TensorFlow be a silent one, whoever asks for it.

    It is not, where TF_CPP_MIN_LOG_LEVEL asks for more than errors, and where the import fails.
    """
    if "tensorflow" not in sys.modules and os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2") >= "2":
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow as the other finders do, once, and has it loaded without a word."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_silently(module: Any) -> None:
                with _dropped_standard_error():
                    load(module)

            spec.loader.exec_module = load_silently
        return spec


@contextlib.contextmanager
def _dropped_standard_error() -> Iterator[None]:
    """Drops what the block writes to descriptor 2, unless it raises."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as greetings:
        os.dup2(greetings.fileno(), 2)
        try:
            yield
        except BaseException:
            greetings.seek(0)
            os.write(kept, greetings.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
