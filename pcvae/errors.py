"""The error for whatever the user can fix."""

import re


class UserError(ValueError):
    """Input that the user can fix: a path, a flag, a binding, an image, a layer string.

    The message is one line. It says what was expected and what came, and names the remedy where
    there is one. The commands print it as ``pcvae: error: ...`` and exit with code 2.
    """


def words_of(error: BaseException) -> str:
    """Returns the message of an error as one line, without the marks of TensorFlow's graphs."""
    return " ".join(re.sub(r"\{\{\w*node [^}]*\}\}", "", str(error)).split())


class StepFailed(Exception):
    """A command that is a step of another one failed, and has said why."""

    def __init__(self, exit_code: int) -> None:
        """Keeps the exit code of the step."""
        super().__init__(f"exit code {exit_code}")
        self.exit_code = exit_code


class Interrupted(Exception):
    """A signal ended the work after its state was saved.

    The commands print the message and exit with code 128 + ``signal_number``.

    Args:
        signal_number: the number of the signal, as in the module ``signal``.
        message: one line for the user; what was saved and how to go on.
    """

    def __init__(self, signal_number: int, message: str = "interrupted") -> None:
        """Keeps the number for the exit code."""
        super().__init__(message)
        self.signal_number = int(signal_number)
