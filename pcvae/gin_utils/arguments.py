"""The command line's ``--gin.NAME=VALUE``, rewritten to gin bindings."""

import re
import tokenize
from collections.abc import Sequence

from gin import config_parser

from pcvae.errors import UserError

_NAME = re.compile(r"[A-Za-z_][\w/]*(\.[A-Za-z_]\w*)*")
# A value that begins like this is meant as gin syntax; anything else may be bare text.
_OPENS_GIN_SYNTAX = tuple("'\"[({@%")
_PYTHON_CONSTANTS = {"true": "True", "false": "False", "none": "None"}


class WrittenReference(str):
    """A reference or a macro as it stands in the source: ``@models.VDVAE``, ``%WIDTH``."""

    __slots__ = ()

    def __repr__(self):
        """Returns the reference as gin writes it, without quotes."""
        return str(self)


class WrittenReferences(config_parser.ParserDelegate):
    """Lets gin's parser read values without resolving what they refer to."""

    def configurable_reference(
        self, scoped_configurable_name: str, evaluate: bool
    ) -> WrittenReference:
        """Returns the reference as written."""
        return WrittenReference(f"@{scoped_configurable_name}{'()' if evaluate else ''}")

    def macro(self, macro_name: str) -> WrittenReference:
        """Returns the macro as written."""
        return WrittenReference(f"%{macro_name}")


def rewrite_gin_args(argv: Sequence[str]) -> list[str]:
    """Rewrites ``--gin.NAME=VALUE`` to ``--gin_bindings=NAME = VALUE``.

    NAME is a macro (``TRAIN_STEPS``) or a dotted parameter (``models.VDVAE.width``), with or
    without a gin scope. VALUE is gin syntax; a bare word or path that is not becomes a quoted
    string.

    Args:
        argv: the arguments without the program's name.

    Returns:
        A new list. Arguments after ``--`` and those that do not begin with ``--gin.`` are kept.

    Raises:
        UserError: for a missing ``=VALUE``, a malformed NAME, or broken gin syntax.
    """
    rewritten = []
    for index, argument in enumerate(argv):
        if argument == "--":
            return rewritten + list(argv[index:])
        if not re.match(r"--?gin\.", argument):
            rewritten.append(argument)
            continue
        name, equals, value = argument.partition(".")[2].partition("=")
        if not equals:
            raise UserError(f"{argument} has no value: write --gin.{name}=VALUE, with '='")
        rewritten.append(f"--gin_bindings={binding(name, value)}")
    return rewritten


def binding(name: str, value: str) -> str:
    """Returns the gin statement ``NAME = VALUE`` for a value of the command line.

    Args:
        name: a macro or a dotted parameter.
        value: text; gin syntax or a bare word, which becomes a quoted string.

    Raises:
        UserError: for a malformed name or a value that opens gin syntax and does not close it.
    """
    name, value = name.strip(), value.strip()
    if not _NAME.fullmatch(name):
        raise UserError(
            f"--gin.{name}={value}: '{name}' is not a name: expected a macro such as TRAIN_STEPS "
            "or a parameter such as models.VDVAE.width"
        )
    if not value:
        raise UserError(
            f"--gin.{name}= has no value: an empty string is written --gin.{name}=\"''\""
        )
    if _is_gin_value(value):
        return f"{name} = {value}"
    if value.startswith(_OPENS_GIN_SYNTAX):
        raise UserError(f"--gin.{name}={value}: the value is broken gin syntax: check the quotes")
    if value.lower() in _PYTHON_CONSTANTS:
        constant = _PYTHON_CONSTANTS[value.lower()]
        raise UserError(f"--gin.{name}={value}: write {constant}, or \"'{value}'\" for the word")
    return f"{name} = {value!r}"


def _is_gin_value(text):
    """Says whether gin reads the text as exactly one value."""
    try:
        statements = list(config_parser.ConfigParser(f"NAME = {text}", WrittenReferences()))
    except (SyntaxError, tokenize.TokenError):
        return False
    return len(statements) == 1
