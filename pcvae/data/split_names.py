"""Splits that a source brings along: folders and arrays whose names say which split they are.

A split is called ``train`` or ``training``; ``validation``, ``valid``, ``val`` or ``dev``; ``test``
or ``testing``; in small or capital letters. What has such a name is that split, whole. A missing
split is held out of train, never out of another one; nobody guesses between two names for one
split, or what to do with images beside the splits.
"""

import re
from collections.abc import Iterable, Sequence

from pcvae.checks import some_names
from pcvae.errors import UserError

NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {name: split for split, names in NAMES.items() for name in names}
_IMAGES = "(?:x|images?|imgs?|data|pixels|inputs?)?"
_KEY = re.compile(f"{_IMAGES}({'|'.join(_SPLIT_OF)}){_IMAGES}")


def split_keys(keys: Iterable[str]) -> dict[str, list[str]]:
    """Returns the names of arrays that say which split they hold, by split.

    ``x_train``, ``X_TEST``, ``trainImages`` and ``val.data`` do; ``y_train`` and ``train_labels``
    hold no images.
    """
    found: dict[str, list[str]] = {}
    for key in keys:
        match = _KEY.fullmatch(re.sub(r"[\W_]", "", key).lower())
        if match:
            found.setdefault(_SPLIT_OF[match[1]], []).append(key)
    return found


def split_folders(names: Sequence[str], source: str) -> tuple[dict[str, str], list[str]]:
    """Finds the folders that are splits, where all files are in such folders of one depth.

    Args:
        names: paths of files within the source, with ``/``.
        source: what they are of, for errors.

    Returns:
        A dict from each name to its split, {} if folders are no splits; and lines for the user.

    Raises:
        UserError: folders at the top are named as splits, and it is not clear what is what.
    """
    folders = [name.split("/")[:-1] for name in names]
    depths = [_depth(parts) for parts in folders]
    inside = [depth for depth in depths if depth is not None]
    if not inside:
        return {}, []
    depth = min(inside)
    spelt: dict[str, set[str]] = {}
    for parts, own in zip(folders, depths, strict=True):
        if own == depth:
            spelt.setdefault(_SPLIT_OF[parts[depth].casefold()], set()).add(parts[depth])
    called = ", ".join(sorted(f"{name}/" for names in spelt.values() for name in names))
    beside = [name for name, own in zip(names, depths, strict=True) if own != depth]
    if beside and depth > 0:
        return {}, [
            f"warning: folders named as splits ({called}) lie below others, with pictures beside "
            f"them, such as {beside[0]!r}: all pictures are split by their names"
        ]
    if beside:
        raise UserError(
            f"{source} has {called} and beside them {len(beside)} other pictures, such as "
            f"{beside[0]!r}: are those folders splits? move the others, or rename the folders"
        )
    for split, some in spelt.items():
        if len({name.casefold() for name in some}) > 1 or (depth == 0 and len(some) > 1):
            raise UserError(
                f"{source} has several folders for the split {split}: "
                f"{some_names((f'{name}/' for name in sorted(some)), 4)}; keep one of them"
            )
    if "train" not in spelt:
        raise UserError(
            f"{source} has {called} but no train/: nothing to learn from; add it, or give the "
            "folder below as the data to split that one"
        )
    if len(spelt) == 1:
        return {}, []
    splits = [_SPLIT_OF[parts[depth].casefold()] for parts in folders]
    return dict(zip(names, splits, strict=True)), [_told(spelt, splits)]


def _told(spelt, splits):
    """Returns the line that says what each split is."""
    parts = []
    for split in NAMES:
        if split in spelt:
            folders = ", ".join(f"{name}/" for name in sorted(spelt[split]))
            parts.append(f"{split} is {folders} ({splits.count(split)} pictures)")
        else:
            parts.append(f"{split} is held out of train by name")
    return ", ".join(parts)


def _depth(parts):
    """Returns the place of the first folder of a path that is named as a split, or None."""
    return next((i for i, part in enumerate(parts) if part.casefold() in _SPLIT_OF), None)
