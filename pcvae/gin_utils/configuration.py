"""A configuration that was read: its arguments, its record, and what in it nobody used."""

import copy
import inspect
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gin

from pcvae.errors import UserError
from pcvae.gin_utils import kinds, lookup
from pcvae.gin_utils.circles import check_no_circle
from pcvae.gin_utils.kinds import is_macro
from pcvae.gin_utils.reader import PLACE_OF_FLAGS, Reader
from pcvae.gin_utils.run_directory import check_same, write_record


class MacroError(UserError):
    """A macro is set and nothing uses it, or is required and not set.

    Attributes:
        names: the macros.
    """

    def __init__(self, names: Sequence[str], message: str) -> None:
        """Keeps the names for who can say more of them."""
        super().__init__(message)
        self.names = tuple(names)


class UnusedMacroError(MacroError):
    """A macro of the command line that nothing uses."""


class UnsetMacroError(MacroError):
    """A required macro that is not set."""


def parse(
    root_fns: Iterable[Callable],
    gin_files: Iterable[str],
    bindings: Sequence[str],
    search_paths: Sequence[str] = (),
    imports: Sequence[str] = (),
) -> "Configuration":
    """Registers root functions and reads a configuration for them.

    gin holds one configuration for the process: this one replaces whatever was read before.

    Args:
        root_fns: functions whose arguments the configuration supplies. They are registered before
            anything is read, because gin is locked afterwards.
        gin_files: file names, looked up in the working directory, then among the shipped files,
            then in ``search_paths``; what a file includes, beside it first. A later file overrides
            an earlier one.
        bindings: gin statements of the command line; they override the files.
        search_paths: further folders.
        imports: import statements for the bindings, beside those of the files.

    Returns:
        A ``Configuration``.

    Raises:
        UserError: with its place, for a missing file, broken syntax, an unknown name or parameter,
            a macro that is not set, a required one that is missing, a value of the wrong kind.
    """
    gin.clear_config()
    for root_fn in root_fns:
        if gin.config._inverse_lookup(root_fn) is None:
            gin.external_configurable(root_fn)
    reader = Reader(search_paths)
    for gin_file in gin_files:
        reader.read_file(gin_file)
    for binding in bindings:
        reader.read_flag(binding, imports)
    reader.drop_orphans()
    configuration = Configuration(reader.sources, reader.replaced)
    configuration.check_macros()
    check_no_circle()
    configuration.check_kinds()
    gin.finalize()
    return configuration


class Configuration:
    """What ``parse`` read. The bindings themselves are gin's, one set for the process."""

    def __init__(self, sources: dict, replaced: dict) -> None:
        """Takes the records of a ``Reader``."""
        self._sources = sources
        self._replaced = replaced

    def arguments(self, root_fn: Callable, names: Iterable[str]) -> dict[str, Any]:
        """Returns those of the named arguments of a root function that are bound, as a dict.

        A reference with parentheses is called here, one without is not.
        """
        bound = gin.get_bindings(root_fn, resolve_references=False)
        return copy.deepcopy({name: bound[name] for name in names if name in bound})

    def referred_arguments(
        self, root_fn: Callable, name: str, names: Iterable[str]
    ) -> dict[str, Any]:
        """Returns those of the named arguments that are bound of what an argument refers to.

        Empty where the argument, called ``name``, is not bound to a reference.
        """
        reference = gin.get_bindings(root_fn, resolve_references=False).get(name)
        if not isinstance(reference, _REFERENCE):
            return {}
        bound = gin.get_bindings(reference.scoped_selector)
        return {name: bound[name] for name in names if name in bound}

    def call(self, root_fn: Callable, **arguments: Any) -> Any:
        """Calls a root function; gin supplies the arguments that the caller does not.

        Raises:
            UserError: for a required argument that is not bound.
        """
        bound = gin.get_bindings(root_fn, resolve_references=False)
        parameters = inspect.signature(root_fn).parameters.values()
        missing = [
            f"{root_fn.__name__}.{parameter.name}"
            for parameter in parameters
            if parameter.default is parameter.empty
            and parameter.name not in {*bound, *arguments}
            and parameter.kind is parameter.KEYWORD_ONLY
        ]
        if missing:
            raise UserError(f"not set by any gin file or flag: {', '.join(missing)}")
        try:
            return gin.get_configurable(root_fn)(**arguments)
        except (TypeError, ValueError) as error:
            explained = self._argument_error(error) or self._value_error(root_fn, error)
            if explained is None:
                raise
            raise explained from error

    def check_macros(self) -> None:
        """Refuses macros that are used but not set, required but not set, or a misspelt flag."""
        config = gin.config._CONFIG
        references = list(gin.config.iterate_references(config))
        macros = {"/".join(reference.scopes) for reference in references if is_macro(reference)}
        names = {scope for scope, selector in config if selector == "gin.macro"}
        for macro in sorted(macros - names):
            raise UserError(f"macro %{macro} is used but not set{lookup.nearest(macro, names)}")
        used = macros | {scope for scope, selector in self._replaced if selector == "gin.macro"}
        for name, where, place in self._sources.values():
            if place == PLACE_OF_FLAGS and name in names - used:
                message = f"{where}: nothing uses {name}{lookup.nearest(name, used)}"
                raise UnusedMacroError([name], message)
        required = [
            source
            for (scope, selector, parameter), source in self._sources.items()
            if repr(config[scope, selector][parameter]) == "%gin.REQUIRED"
        ]
        if required:
            names = ", ".join(f"{name} ({where})" for name, where, _ in required)
            message = f"required but not set: {names}: add --gin.{required[0].name}=VALUE"
            raise UnsetMacroError([source.name for source in required], message)

    def check_kinds(self) -> None:
        """Refuses values that are nothing of what their parameters are annotated with."""
        for (scope, selector, parameter), source in self._sources.items():
            if selector == "gin.macro":
                continue
            value = gin.config._CONFIG[scope, selector][parameter]
            name, where = source.name, source.where
            if isinstance(value, _REFERENCE) and is_macro(value):
                key = ("/".join(value.scopes), "gin.macro", "value")
                where = self._sources[key].where
            owner = gin.config._REGISTRY[selector].wrapped
            try:
                kinds.check_annotated(name, value, owner, parameter)
            except UserError as error:
                raise UserError(f"{where}: {error}") from error

    def unused_bindings(self) -> list[str]:
        """Returns the bindings that were set and never used, each with its place and a reason.

        Call it when the root function has built all its objects. A binding is used when a call
        took its value, so one that the caller supplies itself counts as unused.
        """
        operative = gin.config._OPERATIVE_CONFIG
        lines = []
        for key, (name, where, _) in sorted(self._sources.items(), key=lambda item: item[1].place):
            if self._is_used(key):
                continue
            scope, selector, parameter = key
            calls = [used for (_, called), used in operative.items() if called == selector]
            if selector == "gin.macro":
                why = "no binding refers to it" + lookup.nearest(name, self._macros_in_use())
            elif not calls:
                why = f"nothing built {selector.rpartition('.')[2]}"
            elif scope:
                why = f"no call in scope '{scope}' took it"
            else:
                why = f"the program sets '{parameter}' itself"
            lines.append(f"{name} ({where}: {why})")
        return lines

    def check_unused(self) -> None:
        """Raises a UserError that lists the unused bindings, if there are any."""
        unused = self.unused_bindings()
        if unused:
            raise UserError(f"set but never used: {', '.join(unused)}")

    def text(self) -> str:
        """Returns all bindings as a normalised gin file."""
        return gin.config_str()

    def operative_text(self) -> str:
        """Returns the values that were used, defaults included, as a gin file: a record."""
        return gin.operative_config_str()

    def markdown(self) -> str:
        """Returns both texts as Markdown, for TensorBoard."""
        texts = {"config.gin": self.text(), "operative_config.gin": self.operative_text()}
        return "\n\n".join(f"### {name}\n\n{gin.markdown(text)}" for name, text in texts.items())

    def check_unchanged(self, run_dir: str | os.PathLike) -> None:
        """Refuses a run directory that was made with another configuration.

        Raises:
            UserError: which names the bindings that changed, old -> new.
        """
        check_same(run_dir, self.text())

    def record(self, run_dir: str | os.PathLike, allow_change: bool = False) -> bool:
        """Writes ``config.gin`` and ``operative_config.gin`` into a run directory.

        Returns:
            Whether the configuration is another than the one that was there, or the first one.

        Raises:
            UserError: if the directory was made with another configuration and ``allow_change``
                is not set.
        """
        if not allow_change:
            self.check_unchanged(run_dir)
        return write_record(run_dir, self.text(), self.operative_text())

    def _is_used(self, key):
        scope, selector, parameter = key
        if selector == "gin.macro":
            return scope in self._macros_in_use()
        value = gin.config._CONFIG[scope, selector][parameter]
        return any(
            called == selector
            and (not scope or f"{in_scope}/".startswith(f"{scope}/"))
            and used.get(parameter, _NOTHING) is value
            for (in_scope, called), used in gin.config._OPERATIVE_CONFIG.items()
        )

    def _macros_in_use(self):
        references = gin.config.iterate_references(gin.config._CONFIG)
        return {"/".join(reference.scopes) for reference in references if is_macro(reference)}

    def _value_error(self, root_fn, error):
        """Returns the UserError of the root about an argument, with the macro's name, or None."""
        message = str(error).partition("\n")[0]
        name = message.partition(": ")[0]
        value = gin.get_bindings(root_fn, resolve_references=False).get(name)
        if not isinstance(error, UserError) or not isinstance(value, _REFERENCE):
            return None
        source = self._sources.get(("/".join(value.scopes), "gin.macro", "value"))
        return UserError(f"{message} ({source.where} sets {source.name})") if source else None

    def _argument_error(self, error):
        """Returns the UserError for arguments that a call got wrong because of gin, or None."""
        if isinstance(error, UserError):
            return None
        message, _, appended = str(error).partition("\n")
        missing = re.fullmatch(r"([\w.]+)\(\) missing \d+ required .*arguments?: (.*)", message)
        built = re.search(r"In call to configurable '(\w+)'", appended)
        if missing and built and built[1] in missing[1].split("."):
            return UserError(f"{built[1]} needs {missing[2]}: set it in a gin file or by --gin.")
        # A function hands its **kwargs on: gin takes any name, and who gets it does not.
        unknown = re.search(r"unexpected keyword argument '(\w+)'", message)
        unknown = unknown or re.search(r"Unrecognized keyword arguments.*?\{'(\w+)'", message)
        for (_, selector, parameter), source in self._sources.items():
            if unknown and parameter == unknown[1] and selector != "gin.macro":
                owner = gin.config._REGISTRY[selector].wrapped
                hint = lookup.nearest(parameter, lookup.parameter_names(owner)[0] - {parameter})
                name = source.name.rpartition(".")[0]
                return UserError(f"{source.where}: {name} has no parameter '{parameter}'{hint}")
        return None


_NOTHING = object()
_REFERENCE = gin.config.ConfigurableReference
