"""A record of arguments that belong together, which a constructor takes field by field."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, Self, TypeVar

from pcvae.errors import UserError

Function = TypeVar("Function", bound=Callable)


class ConstructorRecord:
    """A frozen dataclass of what a model is made of, checked as a whole.

    Whoever makes the model names the fields as arguments of its own; it stores them as one.
    """

    @classmethod
    def as_arguments(cls, function: Function) -> Function:
        """Shows the fields in the signature of a function, in place of its ``**fields``.

        So whoever asks for its arguments (gin, ``help``, the reader of ``model.json``) finds them.
        """
        signature = inspect.signature(function)
        given = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        fields = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=field.type,
            )
            for field in dataclasses.fields(cls)
        ]
        function.__signature__ = signature.replace(parameters=[*given, *fields])
        return function

    @classmethod
    def of(cls, fields: dict[str, Any], model: str) -> Self:
        """Returns the record of some fields.

        Args:
            fields: {name: value}.
            model: name of the class that takes them, for the message of an error.

        Raises:
            UserError: there is no such field, or the values do not fit together.
        """
        unknown = fields.keys() - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise UserError(f"{model} has no argument {', '.join(sorted(unknown))}")
        return cls(**fields)
