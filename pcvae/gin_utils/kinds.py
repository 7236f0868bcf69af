"""Whether a value is of the kind that its place takes, before anything is built from it."""

import collections.abc
import inspect
import os
import types
import typing
from collections.abc import Callable
from typing import Any

import gin

from pcvae.errors import UserError

_TAKES_ALL = ("builtins", "inspect", "typing")  # modules of int, of "no annotation", of Any
_PLAIN = {str: "text", bool: "True or False", os.PathLike: "a path", types.NoneType: "None"}


def is_macro(reference: Any) -> bool:
    """Says whether a reference is a macro, ``%NAME``."""
    return reference.configurable.selector == "gin.macro"


def literal(value: Any) -> Any:
    """Returns what a macro stands for, or the value itself; None for one that names itself."""
    seen = set()
    while isinstance(value, gin.config.ConfigurableReference) and is_macro(value):
        if value.config_key in seen:
            return None
        seen.add(value.config_key)
        value = gin.config._CONFIG.get(value.config_key, {}).get("value")
    return value


def check_replaces(name: str, value: Any, replaced: Any) -> None:
    """Refuses text for a number and the like, judged by the value that it replaces.

    Raises:
        UserError: it is of another kind.
    """
    replaced = literal(replaced)
    wanted, came = _kind(replaced), _kind(value)
    if wanted and came and wanted != came:
        raise UserError(f"{name} takes {wanted}, as {replaced!r}, but came as {value!r}")


def check_annotated(name: str, value: Any, function_or_class: Callable, parameter: str) -> None:
    """Refuses a value that is nothing of what a parameter is annotated with.

    Text, flags, paths, functions and objects are looked at: of numbers and lists those who take
    them say more. What a function returns is known by its own annotation, if at all.

    Args:
        name: of the binding, for the error.
        value: as gin has it; references are not called.
        function_or_class: whose parameter it is.
        parameter: its name.

    Raises:
        UserError: it is of another kind.
    """
    found = inspect.signature(function_or_class).parameters.get(parameter)
    members = _members(inspect.Parameter.empty if found is None else found.annotation)
    value = literal(value)
    if not members or any(_fits(value, member) for member in members):
        return
    wanted = " or ".join(dict.fromkeys(map(_described, members)))
    raise UserError(f"{name} takes {wanted}, but came as {value!r}")


def _members(annotation):
    """Returns the kinds of an annotation, or none where others look at the value."""
    members = (annotation,)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = typing.get_args(annotation)
    known = all(
        member in _PLAIN
        or _is_callable(member)
        or (inspect.isclass(member) and member.__module__ not in _TAKES_ALL)
        for member in members
    )
    return members if known else ()


def _is_callable(member):
    return (typing.get_origin(member) or member) in (collections.abc.Callable, type)


def _fits(value, member):
    if not isinstance(value, gin.config.ConfigurableReference):
        return member in _PLAIN and isinstance(value, member)
    target = value.configurable.wrapped
    if not value.evaluate:
        return _is_callable(member)
    made = target if inspect.isclass(target) else inspect.signature(target).return_annotation
    if _is_callable(member):
        return not inspect.isclass(made) or made is inspect.Parameter.empty
    return not inspect.isclass(made) or issubclass(made, member) or made is inspect.Parameter.empty


def _described(member):
    if member in _PLAIN:
        return _PLAIN[member]
    return "a function or class, @NAME" if _is_callable(member) else f"a {member.__name__}, @NAME()"


def _kind(value):
    if isinstance(value, bool):
        return "True or False"
    if isinstance(value, int | float):
        return "a number"
    return "a string" if isinstance(value, str) else None
