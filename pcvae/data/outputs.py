"""What pcvae itself has written: its pictures are no data for the folder that they lie in."""

import os
from pathlib import Path

from pcvae.files import PICTURE_MARK

_RECORDS = ("run.json", "fit.json", "operative_config.gin", "config.gin", "saved_model.pb")
_RESULTS = ("sweep.json", "table1.json", "table2.json")
_BYTES_OF_MARKS = 128
_PICTURES = "images"  # where a run, a table or a sweep puts its own


def is_output(parent: Path, name: str, cache: Path | None) -> bool:
    """Says whether a folder is a run, an export, a table, a comparison or the cache.

    So are the pictures of a run whose directory holds data, too.

    Args:
        parent: the folder that it is in.
        name: its name there.
        cache: the folder of the cache, or None.
    """
    folder = parent / name
    if cache is not None and os.path.realpath(folder) == os.path.realpath(cache):
        return True
    return _is_written(folder) or (name == _PICTURES and _is_written(parent))


def is_own_picture(file: Path) -> bool:
    """Says whether a picture is one that pcvae has written, by its first bytes.

    Those that another program has saved again cannot be told.
    """
    try:
        with open(file, "rb") as opened:
            return "\0".join(PICTURE_MARK).encode() in opened.read(_BYTES_OF_MARKS)
    except OSError:
        return False


def _is_written(folder):
    if any((folder / record).is_file() for record in _RECORDS):
        return True
    if any((folder / "results" / result).is_file() for result in _RESULTS):
        return True
    started = (folder / "model.json").is_file() and (folder / "checkpoints").is_dir()
    compared = (folder / "comparison.json").is_file() and (folder / "comparison.html").is_file()
    return started or compared
