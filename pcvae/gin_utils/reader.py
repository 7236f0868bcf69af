"""Reads gin files and bindings into gin, with a one-line error for whatever is wrong in them.

gin's own loop over statements raises errors of several lines and keeps no record of where a value
came from. This one does the same work statement by statement: it knows file and line of every
binding, and what an override replaced.
"""

import contextlib
import math
import os
import re
import tokenize
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gin
from gin import config_parser

from pcvae.errors import UserError
from pcvae.files import read_text
from pcvae.gin_utils import kinds, lookup
from pcvae.gin_utils.kinds import is_macro

PLACE_OF_FLAGS = math.inf  # after every statement of every file


class Source(NamedTuple):
    """Where a binding came from."""

    name: str  # as written: models.VDVAE.width, or TRAIN_STEPS for a macro
    where: str  # experiments/quickstart.gin:12, or --gin.NAME
    place: float  # position in the order of reading


def shipped_gin_folder() -> Path:
    """Returns the folder of the gin files that come with pcvae.

    An installed package carries them as ``pcvae/gin``; in a checkout they are its ``gin``.
    """
    package = Path(__file__).parents[1]
    installed = package / "gin"
    return installed if installed.is_dir() else package.parent / "gin"


def check_files(filenames: Sequence[str], search_paths: Sequence[str] = ()) -> None:
    """Raises UserError unless files are there, and folders to look them up in; reads none."""
    reader = Reader(search_paths)
    for filename in filenames:
        reader.find(filename)


class Reader:
    """Reads files and flags in order of precedence: an include, its file, a flag.

    Attributes:
        sources: (scope, selector, parameter) -> the ``Source`` of its value.
        replaced: (scope, selector) of a macro, or ("", selector) of a function or class -> the
            last place where a binding that referred to it was overridden.
    """

    def __init__(self, search_paths: Sequence[str] = ()) -> None:
        """Files are looked up in the working directory, the shipped folder, the search paths.

        What a file includes is looked up beside it first.

        Raises:
            UserError: a search path is no folder.
        """
        search_paths = [os.path.expanduser(path) for path in search_paths]
        for path in search_paths:
            if not os.path.isdir(path):
                raise UserError(f"--gin_search_path={path}: there is no such folder")
        self._folders = ["", str(shipped_gin_folder()), *search_paths]
        self._open_files = []
        self._place = 0
        self.sources = {}
        self.replaced = {}

    def read_file(self, filename: str) -> None:
        """Reads a file and what it includes.

        Raises:
            UserError: with file and line, for anything that is wrong in it.
        """
        path = self.find(filename)
        # By its real path: an include of "../here/this.gin" has another one each time.
        if os.path.realpath(path) in map(os.path.realpath, self._open_files):
            raise UserError(f"{filename} includes itself: {' -> '.join(self._open_files)}")
        self._open_files.append(path)
        with _located(filename), gin.config._parse_scope() as context:
            self._apply(read_text(path), context, filename)
        self._open_files.pop()

    def read_flag(self, binding: str, imports: Sequence[str] = ()) -> None:
        """Reads a binding of the command line; it may use every name that a file imported.

        Args:
            binding: a gin statement, ``NAME = VALUE``.
            imports: further import statements for this binding.
        """
        label = f"--gin.{binding.partition('=')[0].strip()}"
        with gin.config._parse_scope() as context:
            with _located(label):
                for statement in gin.config.ImportManager(gin.config._IMPORTS).sorted_imports:
                    context.process_import(statement)
                if context._dynamic_registration:
                    self._apply("\n".join(imports), context, label)
            self._apply(binding, context, label, is_flag=True)

    def drop_orphans(self) -> None:
        """Drops what stands in a file only for something that a later statement replaced.

        A macro whose last use was overridden, the settings of an optimizer in whose place another
        was put: they mean nothing any more, and no record should hold them.
        """
        config = gin.config._CONFIG
        while True:
            referenced = {reference_key(ref) for ref in gin.config.iterate_references(config)}
            orphans = [
                key
                for key, source in self.sources.items()
                if self.replaced.get(owner := _owner(key), -1) > source.place
                and owner not in referenced
            ]
            if not orphans:
                return
            for scope, selector, parameter in orphans:
                value = config[scope, selector].pop(parameter)
                if not config[scope, selector]:
                    del config[scope, selector]
                del self.sources[scope, selector, parameter]
                place = self.replaced[_owner((scope, selector, parameter))]
                for reference in gin.config.iterate_references([value]):
                    self.replaced.setdefault(reference_key(reference), place)

    def find(self, filename: str) -> str:
        """Returns the path of a file, which may be beside the one that includes it.

        Raises:
            UserError: there is none; which names the nearest one that comes with pcvae.
        """
        filename = os.path.expanduser(filename)
        beside = [os.path.dirname(path) for path in self._open_files[-1:]]
        folders = [*dict.fromkeys([*beside, *self._folders])]
        if os.path.isabs(filename):
            folders = [""]
        for folder in folders:
            if os.path.isfile(os.path.join(folder, filename)):
                return os.path.join(folder, filename)
        shipped = shipped_gin_folder()
        known = {str(path.relative_to(shipped)) for path in shipped.rglob("*.gin")}
        where = ", ".join(folder or "the working directory" for folder in folders)
        hint = lookup.nearest(filename, known, last_part=lambda name: Path(name).stem)
        raise UserError(
            f"no gin file '{filename}' in {where}{hint}; --gin_search_path=FOLDER adds a folder"
        )

    def _apply(self, text, context, label, is_flag=False):
        with _located(label):
            parser = config_parser.ConfigParser(text, _Values())
        while True:
            with _located(label):
                statement = parser.parse_statement()
            if statement is None:
                break
            self._place += 1
            line = "" if is_flag else f":{statement.location.line_num}"
            with _located(label + line):
                if isinstance(statement, config_parser.IncludeStatement):
                    self.read_file(statement.filename)
                elif isinstance(statement, config_parser.ImportStatement):
                    _import(statement, context)
                elif isinstance(statement, config_parser.BlockDeclaration):
                    lookup.find_configurable(statement.selector)
                else:
                    place = PLACE_OF_FLAGS if is_flag else self._place
                    self._bind(statement, label + line, place)
        gin.config._IMPORTS.update(context.imports)

    def _bind(self, statement, where, place):
        scope, selector, parameter, value, _ = statement
        scoped = f"{scope}/{selector}" if scope else selector
        if parameter:
            configurable = lookup.find_configurable(selector)
            name = f"{scoped}.{parameter}"
            names, open_ended = lookup.parameter_names(configurable.wrapped)
            if parameter not in names and not open_ended:
                hint = lookup.nearest(parameter, names) or f"; it has {', '.join(sorted(names))}"
                raise UserError(f"{selector} has no parameter '{parameter}'{hint}")
        else:
            configurable = gin.config._REGISTRY["gin.macro"]
            scope, parameter, name = scoped, "value", scoped
        key = (scope, configurable.selector)
        previous = gin.config._CONFIG.get(key, {}).get(parameter)
        default = lookup.parameter_default(configurable.wrapped, parameter)
        kinds.check_replaces(name, value, default if previous is None else previous)
        for reference in gin.config.iterate_references([previous]):
            self.replaced[reference_key(reference)] = place
        # The selector is complete by now; a scope without imports resolves it as it stands.
        with gin.config._parse_scope():
            gin.bind_parameter((*key, parameter), value)
        self.sources[(*key, parameter)] = Source(name, where, place)


def reference_key(reference: Any) -> tuple[str, str]:
    """Returns (scope, selector) of a macro and ("", selector) of anything else."""
    return ("/".join(reference.scopes) if is_macro(reference) else "", reference.config_key[1])


def _owner(key):
    """Returns what a binding belongs to, as ``reference_key`` names it."""
    scope, selector, _ = key
    return (scope if selector == "gin.macro" else "", selector)


class _Values(gin.config.ParserDelegate):
    """Resolves references as ``find_configurable`` does."""

    def configurable_reference(self, scoped_selector, evaluate):
        *scopes, selector = scoped_selector.split("/")
        configurable = lookup.find_configurable(selector)
        symbols = gin.config._parse_context()._symbol_table
        if selector.split(".")[0] in symbols:
            return gin.config.ConfigurableReference(scoped_selector, evaluate)
        with gin.config._parse_scope():
            complete = "/".join([*scopes, configurable.selector])
            return gin.config.ConfigurableReference(complete, evaluate)


def _import(statement, context):
    try:
        context.process_import(statement)
    except ModuleNotFoundError as error:
        hint = lookup.import_hint(statement.module)
        raise UserError(f"cannot import {error.name or statement.module}{hint}") from error


class _LocatedError(UserError):
    """An error that already says where it stands."""


@contextlib.contextmanager
def _located(where):
    """Turns every error of gin inside into one line that begins with its place."""
    try:
        yield
    except (_LocatedError, OSError):
        raise
    except tokenize.TokenError as error:
        message = f"{error.args[0]}: a bracket or quote is not closed"
        raise _LocatedError(f"{where}:{error.args[1][0]}: {message}") from error
    except SyntaxError as error:
        word = re.search(r"Failed to parse token '(.*)'", error.msg or "")
        message = f"{word[1]} is not a gin value: text needs quotes" if word else error.msg
        raise _LocatedError(f"{_with_line(where, error.lineno)}: {message.rstrip('.')}") from error
    except UnicodeDecodeError as error:
        raise _LocatedError(f"{where}: not a text file") from error
    except (ValueError, TypeError, LookupError, RuntimeError, ImportError) as error:
        # gin appends its own lines to a message; the place is in them when this one lacks it.
        message, _, appended = str(error).partition("\n")
        line = re.search(r" line (\d+)", appended)
        raise _LocatedError(f"{_with_line(where, line and line[1])}: {message}") from error


def _with_line(where, line):
    """Adds a line number to the name of a file that has none yet."""
    return where if not line or where.startswith("--") or ":" in where else f"{where}:{line}"
