"""The record of a model that somebody else may have written: plain values, and sizes that fit.

Keras' own reader imports whatever classes and modules a file names. This one does not: a record may
hold only numbers, strings and lists, as arguments of registered classes.
"""

import inspect
import json
import math
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from pcvae.checks import check_bytes, check_choice
from pcvae.errors import UserError
from pcvae.files import check_plain_file

MAX_RECORD_BYTES = 4 * 2**20
BYTES_PER_WEIGHT = 4
# Policies of Keras: the type of weights and, behind "mixed_" with float32 weights, of convolutions.
PRECISIONS = ("float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
# What Keras' serialised objects are known by.
_KERAS_KEYS = {"class_name", "module", "registered_name", "config", "build_config"}


def read_record(path: Path) -> Any:
    """Returns what a JSON file holds.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no JSON, or too large to be the record of a model.
    """
    check_plain_file(path, MAX_RECORD_BYTES)
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("nesting without end") from error


def check_config(name: str, config: Any, classes: Mapping[str, type]) -> None:
    """Checks the arguments of a model: known names, and plain values alone.

    Args:
        name: of the class.
        config: its arguments, from a file.
        classes: {name: class}, those that a file may name. A model made of stages lists under
            ``stages`` a class and a config for each.

    Raises:
        UserError: something else stands there.
    """
    if not isinstance(name, str) or name not in classes or not isinstance(config, dict):
        raise UserError(f"expected a class of {sorted(classes)}, got {name!r}")
    known = _argument_names(classes[name])
    unknown = sorted(set(config) - known)
    if unknown:
        raise UserError(f"{name} has no argument {', '.join(unknown[:5])}")
    check_choice("dtype", config.get("dtype", "float32"), PRECISIONS)
    if not _NAME.fullmatch(str(config.get("name", name))):
        raise UserError(f"name: expected letters, digits, _, - and ., got {config['name']!r}")
    stages = config.get("stages", [])
    for stage in stages if isinstance(stages, list) else [stages]:
        fields = stage if isinstance(stage, dict) else {}
        check_config(fields.get("class"), fields.get("config"), classes)
    for argument, value in config.items():
        if argument != "stages" and not _is_plain(value):
            raise UserError(f"{argument}: expected numbers, words and lists of them")


def weight_shapes(make: Callable) -> dict[str, Any]:
    """Returns {name: shape} of the weights of a model without taking their memory.

    Args:
        make: called without arguments; returns a model with `named_weights`.

    Raises:
        Exception: whatever making the model raises.
    """
    result, errors = [], []

    def build():
        # In this scope variables have shapes and no values yet.
        with keras.StatelessScope(initialize_variables=False):
            try:
                weights = make().named_weights
                result.append({name: tuple(weight.shape) for name, weight in weights.items()})
            except Exception as error:
                errors.append(error)

    # Keras keeps a list of uninitialised variables per thread. In a thread of its own the list
    # ends with the thread, and no later code initialises these variables.
    thread = threading.Thread(target=build)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return result[0]


def check_memory(shapes: Mapping[str, Any]) -> None:
    """Checks that weights of some shapes fit into the memory of this machine.

    Raises:
        UserError: they do not.
    """
    check_bytes("the model", BYTES_PER_WEIGHT * sum(map(math.prod, shapes.values())), "its weights")


def _argument_names(model_class):
    """Returns the names of the arguments of a class and of those that it hands arguments on to."""
    names = {"name", "dtype"}
    for parent in model_class.__mro__:
        if "__init__" in vars(parent) and parent.__module__.startswith("pcvae."):
            names |= set(inspect.signature(parent.__init__).parameters)
    return names - {"self", "args", "kwargs"}


def _is_plain(value):
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):  # such as the width at each resolution
        return not _KERAS_KEYS & value.keys() and all(map(_is_plain, value.values()))
    return value is None or isinstance(value, str | int | float | bool)


def _refuse_constant(text):
    raise ValueError(f"{text}, which is no number")
