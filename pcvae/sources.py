"""What ``--data`` and ``--extractor`` name: kinds of sources, without what reads or trains them."""

import os

from pcvae.errors import UserError

# The feature extractors that pcvae trains on drawn pictures, by what --extractor calls them.
EXTRACTORS = ("synthetic", "structure")
# kind -> what follows the colon; None where nothing has to
KINDS = {"synthetic": None, "folder": "PATH", "arrays": "FILE", "tfds": "NAME", "lsun": "PATH"}


def kind_and_place(spec: str) -> tuple[str, str]:
    """Returns the kind of a source and what follows the colon: ``folder:PATH``.

    Raises:
        UserError: the kind is unknown, or what has to follow it is missing.
    """
    kind, _, place = str(spec).partition(":")
    if kind not in KINDS:
        forms = [f"{kind}:{wanted}" for kind, wanted in KINDS.items() if wanted]
        raise UserError(
            f"unknown dataset {spec!r}; expected {_kind_of_path(str(spec))}synthetic, "
            f"synthetic:SIZE or one of {', '.join(forms)}"
        )
    if KINDS[kind] and not place.strip():
        raise UserError(f"{spec!r} lacks what to read; expected {kind}:{KINDS[kind]}")
    return kind, place


def _kind_of_path(path):
    """Returns the beginning of a list of sources: the one that a path was meant for, if any."""
    place = os.path.expanduser(path)
    if os.path.isdir(place):
        return f"folder:{path} for the pictures below it, "
    if os.path.isfile(place) and path.lower().endswith((".npy", ".npz")):
        return f"arrays:{path} for the arrays in it, "
    return ""


def check_source(spec: str) -> None:
    """Raises UserError unless a source is of a known kind, and its file or folder is there."""
    kind, place = kind_and_place(spec)
    if KINDS[kind] in ("PATH", "FILE") and not os.path.exists(os.path.expanduser(place)):
        what = "file" if KINDS[kind] == "FILE" else "folder"
        raise UserError(f"--data={spec}: there is no such {what}")
