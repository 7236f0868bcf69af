"""Arguments of a command: flags among words without a name, and what is said of a wrong one."""

import os
import re
from collections.abc import Sequence

from absl import flags

from pcvae import gin_utils
from pcvae.errors import UserError

# Flags whose values are paths: the shell leaves a ~ after the = as it is.
PATH_FLAGS = {
    "run_dir",
    "export",
    "first_stage",
    "output",
    "images",
    "latents",
    "first",
    "second",
    "extractor",
    "weights",
    "per_image",
    "backbone",
    "lins",
    "lpips_weights",
    "gin_file",
    "gin_search_path",
}


def define_optional_list(
    name: str, default: Sequence[str], text: str, values: flags.FlagValues
) -> None:
    """Defines a flag that may stand alone, for a default list, or with a list: --NAME=A,B."""
    flag = flags.Flag(
        _OptionalListParser(default), flags.CsvListSerializer(","), name, None, text, boolean=True
    )
    flags.DEFINE_flag(flag, flag_values=values)


class _OptionalListParser(flags.ListParser):
    def __init__(self, default):
        super().__init__()
        self._default = default

    def parse(self, argument):
        # "true" is what absl reads from a flag without a value.
        return self._default if argument == "true" else super().parse(argument)


def parse_flags(values: flags.FlagValues, argv: Sequence[str]) -> flags.FlagValues:
    """Parses arguments into flags; returns the flags.

    Raises:
        UserError: for an unknown flag, with the nearest one, a bad value, or a leftover argument.
    """
    values, leftovers = parse_arguments(values, argv)
    if leftovers:
        raise UserError(f"unexpected argument '{leftovers[0]}': flags are written --NAME=VALUE")
    return values


def parse_arguments(
    values: flags.FlagValues, argv: Sequence[str]
) -> tuple[flags.FlagValues, list[str]]:
    """Parses flags among arguments without a name; returns the flags and the list of the others.

    Raises:
        UserError: for an unknown flag, with the nearest one, or a bad value.
    """
    if "gin_bindings" in values:
        argv = gin_utils.rewrite_gin_args(argv)
    try:
        leftovers = values(["pcvae", *argv])[1:]
    except flags.UnrecognizedFlagError as error:
        raise UserError(
            f"no flag --{error.flagname}{_nearest_flag(error.flagname, values)}"
        ) from error
    except flags.IllegalFlagValueError as error:
        raise UserError(_value_error(error, values)) from error
    except (flags.Error, ValueError) as error:
        raise UserError(str(error)) from error
    for name in PATH_FLAGS & set(values):
        values[name].value = _expanded(values[name].value)
    return values, leftovers


def _value_error(error, values):
    """Returns what a flag expected and what came, in words."""
    found = re.match(r"flag --(\w+)=", str(error))
    if found is None or found[1] not in values:
        return str(error)
    name = found[1]
    given = str(error)[found.end() :].removesuffix(f": {error.__context__}")
    parser, kind = values[name].parser, values[name].flag_type()
    if kind.endswith("enum"):
        expected = f"one of {', '.join(parser.enum_values)}"
    else:
        expected = {"int": "a whole number", "float": "a number", "bool": "true or false"}[kind]
        low, high = (getattr(parser, f"{end}_bound", None) for end in ("lower", "upper"))
        expected += "" if low is None else f" of at least {low}"
        expected += "" if high is None else f"{'' if low is None else ' and'} at most {high}"
    return f"--{name}: expected {expected}, got {given!r}"


def _expanded(value):
    """Puts the home folder in the place of ~ in a path or a list of paths."""
    if isinstance(value, list):
        return [os.path.expanduser(path) for path in value]
    return value and os.path.expanduser(value)


def _nearest_flag(name, values):
    return gin_utils.nearest(name, [f for f in values if f != "gin_bindings"]).replace(
        "did you mean ", "did you mean --"
    )
