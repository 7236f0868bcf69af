"""Is a directory free for a run, or one of the same configuration?"""

import os
import re
import tokenize
from pathlib import Path

from gin import config_parser

from pcvae.checks import check_folder, some_names
from pcvae.errors import UserError
from pcvae.files import read_text, write_text
from pcvae.gin_utils.arguments import WrittenReferences

_CHANGES_SHOWN = 12
# Three former names of one class: a run that was recorded with them is the same run.
_FORMER_TRAINERS = re.compile(r"\btraining\.(ELBO|Constrained|SecondStage)Trainer\b")
# What shipped files bind and older records do not, with the value that says what was done then.
_LATER = {
    "PRECISION": "'float32'",
    "models.small_vdvae.dtype": "%PRECISION",
    "models.VDVAE.dtype": "%PRECISION",
    "models.ConditionalVDVAE.dtype": "%PRECISION",
}


def check_run_dir(run_dir: str | os.PathLike) -> None:
    """Refuses a folder that holds something, but no run of pcvae-train.

    Raises:
        UserError: which names what was found; or the path cannot be a folder.
    """
    folder = Path(check_folder(run_dir, "--run_dir"))
    if not folder.is_dir() or (folder / "config.gin").exists():
        return
    # Another worker of the same run may be about to write the record.
    found = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if found:
        raise UserError(
            f"--run_dir={run_dir}: expected a new or empty folder, or a run of pcvae-train with "
            f"its config.gin, found {some_names(found, 3)}: use another --run_dir"
        )


def check_same(run_dir: str | os.PathLike, text: str) -> None:
    """Refuses a run directory that was made with another configuration than a gin text.

    Raises:
        UserError: which names the bindings that changed, old -> new.
    """
    path = Path(run_dir) / "config.gin"
    if not path.exists():
        return
    old, new = _bindings_in_file(path), _bindings_in(text)
    if not old.keys() & new.keys():
        raise UserError(
            f"{path}: expected the record of pcvae-train, got a file that shares no name with "
            "it, made by another program or by hand: use another --run_dir"
        )
    old = {name: value for name, value in _LATER.items() if name in new} | old
    changes = [
        f"{name}: {old.get(name, 'not set')} -> {new.get(name, 'not set')}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    if changes:
        if len(changes) > _CHANGES_SHOWN:
            changes[_CHANGES_SHOWN:] = [f"and {len(changes) - _CHANGES_SHOWN} more"]
        raise UserError(
            f"{run_dir} was made with another configuration ({'; '.join(changes)}): "
            "use another --run_dir, or --allow_config_change to go on with the new one"
        )


def write_record(run_dir: str | os.PathLike, text: str, operative_text: str) -> bool:
    """Writes ``config.gin`` and ``operative_config.gin``; says whether the first one is new."""
    path = Path(run_dir) / "config.gin"
    is_new = not path.exists() or read_text(path, errors="replace") != text
    write_text(text, path)
    write_text(operative_text, path.with_name("operative_config.gin"))
    return is_new


def _bindings_in_file(path):
    """Returns the bindings of the record of a run, as name -> value as written."""
    try:
        return _bindings_in(read_text(path))
    except (SyntaxError, tokenize.TokenError, UnicodeDecodeError) as error:
        why = "it is no text" if isinstance(error, UnicodeDecodeError) else error.args[0]
        raise UserError(
            f"{path} is damaged, or no record of pcvae-train ({why}): use another --run_dir"
        ) from error


def _bindings_in(text):
    """Returns the bindings of a gin text, as name -> value as written."""
    text = _FORMER_TRAINERS.sub("training.Trainer", text)
    statements = list(config_parser.ConfigParser(text, WrittenReferences()))
    return {
        f"{s.scope}/{s.selector}.{s.arg_name}".strip("/.").replace("/.", "."): repr(s.value)
        for s in statements
        if isinstance(s, config_parser.BindingStatement)
    }
