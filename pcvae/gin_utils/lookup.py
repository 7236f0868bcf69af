"""What a gin name stands for, and the nearest names where it stands for nothing."""

import difflib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable
from typing import Any

import gin

from pcvae.errors import UserError


def nearest(
    name: str,
    candidates: Iterable[str],
    last_part: Callable[[str], str] = lambda text: text.rpartition(".")[2],
) -> str:
    """Returns a clause that names the one or two nearest candidates, or an empty string.

    Names are compared as a whole and by their last part, so that ``VDVEA`` finds ``models.VDVAE``.
    """
    candidates = sorted({str(candidate) for candidate in candidates} - {name})
    last_parts = {}
    for candidate in candidates:
        last_parts.setdefault(last_part(candidate).lower(), candidate)
    by_last = difflib.get_close_matches(last_part(name).lower(), last_parts, n=2, cutoff=0.7)
    close = [last_parts[part] for part in by_last]
    whole = difflib.get_close_matches(name, candidates, n=2, cutoff=0.7)
    close += [candidate for candidate in whole if candidate not in close]
    return f"; did you mean {' or '.join(close[:2])}?" if close else ""


def find_configurable(selector: str) -> Any:
    """Returns gin's record of a function or class, registering it if an import provides it.

    A name resolves through the imports of the file that is being read, and otherwise to whatever
    is registered already, above all the root function.

    Raises:
        UserError: when nothing, or more than one thing, has this name.
    """
    context = gin.config._parse_context()
    if context._dynamic_registration and selector.split(".")[0] in context._symbol_table:
        _check_attributes(selector, context._symbol_table)
        return context.get_configurable(selector)
    matches = gin.config._REGISTRY.matching_selectors(selector)
    if len(matches) > 1:
        raise UserError(f"'{selector}' is ambiguous: it may be {' or '.join(sorted(matches))}")
    if not matches:
        raise UserError(f"nothing is named '{selector}'{_hint(selector, context)}")
    return gin.config._REGISTRY[matches[0]]


def parameter_names(function_or_class: Callable) -> tuple[set[str], bool]:
    """Returns the names of all parameters, and whether any other name is accepted too.

    A class that hands ``**kwargs`` to its bases, as Keras layers do, has the parameters of all its
    bases, but not any name: gin alone would take a misspelt one.
    """
    functions = [function_or_class]
    if inspect.isclass(function_or_class):
        bases = inspect.getmro(function_or_class)[:-1]
        functions = [vars(base)["__init__"] for base in bases if "__init__" in vars(base)]
    names, open_ended = set(), False
    for function in functions:
        parameters = inspect.signature(function).parameters.values()
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        names.update(parameter.name for parameter in parameters if parameter.kind in named)
        if function is functions[0]:
            open_ended = any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters)
            if not open_ended:
                break
    return names - {"self"}, open_ended and not inspect.isclass(function_or_class)


def parameter_default(function_or_class: Callable, name: str) -> Any:
    """Returns the default value of a parameter; None where there is no literal one."""
    parameter = inspect.signature(function_or_class).parameters.get(name)
    return None if parameter is None or parameter.default is parameter.empty else parameter.default


def import_hint(module: str) -> str:
    """Returns a clause with the modules that are nearest to one that cannot be imported."""
    package, _, name = module.rpartition(".")
    path = getattr(sys.modules.get(package), "__path__", None)
    found = (info.name for info in pkgutil.iter_modules(path)) if path else ()
    return nearest(name, found)


def _check_attributes(selector, symbols):
    """Walks a dotted name from an imported module to a function or class."""
    first, *names = selector.split(".")
    value, path = symbols[first], first
    for name in names:
        if not hasattr(value, name):
            public = [
                f"{path}.{other}"
                for other in dir(value)
                if not other.startswith("_")
                and (name != names[-1] or callable(getattr(value, other)))
            ]
            raise UserError(f"{path} has no '{name}'{nearest(f'{path}.{name}', public)}")
        value, path = getattr(value, name), f"{path}.{name}"
    if not callable(value):
        raise UserError(f"'{selector}' is neither a function nor a class")


def _hint(selector, context):
    """Returns what to do about a name that nothing has."""
    registered = [key for key, _ in gin.config._REGISTRY.items() if not key.startswith("gin.")]
    short = {".".join(key.split(".")[-2:]) for key in registered}
    imported = [name for name in context._symbol_table if name != "gin"]
    clause = nearest(selector, short | {key.rpartition(".")[2] for key in registered})
    clause = clause or nearest(selector.split(".")[0], imported)
    if clause:
        return clause
    if imported:
        return f"; the imports give {', '.join(sorted(imported))}"
    return "; import its module in the gin file, after 'from __gin__ import dynamic_registration'"
