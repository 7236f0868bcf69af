"""The program ``pcvae``: finds a command by its name and runs it.

The folder ``commands/`` is the one list of commands. Listing them imports none of them.
"""

import difflib
import importlib
import sys
from pathlib import Path

import pcvae
from pcvae.cli import environment, streams
from pcvae.cli.docstrings import docstring_of

_FOLDER = Path(__file__).parent / "commands"
_HELP = ("--help", "-help", "-h", "help")


def module_names() -> list[str]:
    """Returns the names of the commands' modules, such as ``train_extractor``, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("[!_]*.py"))


def help_text() -> str:
    """Returns what ``pcvae --help`` prints: each command with the first line of its help."""
    rows = []
    for name in module_names():
        rows.append(f"  {_shown(name):16} {docstring_of(_FOLDER / f'{name}.py').splitlines()[0]}")
    usage = "Usage: pcvae COMMAND [ARGUMENTS]; pcvae COMMAND --help; pcvae --version"
    return "\n".join([docstring_of(pcvae.__file__), "", usage, "", "Commands:", *rows])


def run_command(name: str, argv: list[str], is_process: bool = False) -> int:
    """Runs the command of a module of the folder; returns its exit code. See `Command.main`."""
    return importlib.import_module(f"pcvae.cli.commands.{name}").main(argv, is_process)


def main(argv: list[str] | None = None) -> int:
    """Runs ``pcvae`` and returns its exit code: 2 for a name that is no command's.

    Args:
        argv: the arguments without the program's name; by default those of the process.
    """
    is_process = argv is None
    environment.prepare(is_process)
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in _HELP:
        print(help_text())
        return streams.exit_code(0)
    if name == "--version":
        print(f"pcvae {pcvae.__version__}")
        return streams.exit_code(0)
    module = name.replace("-", "_")
    if module not in module_names():
        print(
            f"pcvae: error: no command {name!r}: expected {_nearest_first(name)}", file=sys.stderr
        )
        return 2
    return run_command(module, rest, is_process)


def _shown(module: str) -> str:
    return module.replace("_", "-")


def _nearest_first(name: str) -> str:
    """Returns the names of all commands, the most similar to a wrong one first."""
    shown = [_shown(module) for module in module_names()]
    similar = difflib.get_close_matches(name, shown, n=len(shown), cutoff=0.0)
    return ", ".join(similar)
