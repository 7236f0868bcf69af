"""A dataset from one string, as the command line and gin name it."""

import inspect
import os
import re
from typing import Any

from pcvae.data.arrays import ArrayImages
from pcvae.data.dataset import ImageDataset
from pcvae.data.folder import FolderImages
from pcvae.data.lsun import LSUNImages
from pcvae.data.synthetic import SyntheticImages
from pcvae.data.tfds_images import TFDSImages
from pcvae.errors import UserError
from pcvae.sources import KINDS, kind_and_place

SOURCES = {
    "synthetic": SyntheticImages,
    "folder": FolderImages,
    "arrays": ArrayImages,
    "tfds": TFDSImages,
    "lsun": LSUNImages,
}
_SYNTHETIC_PART = re.compile(r"(?P<image_size>\d+)|texture=(?P<texture>\d+(?:\.\d+)?)")


def from_spec(
    spec: str,
    image_size: int | None = None,
    *,
    channels: int | None = None,
    num_train_images: int | None = None,
    skip_unreadable: bool | None = None,
    max_value: float | None = None,
    texture: float | None = None,
    data_dir: str | os.PathLike | None = None,
    cache_dir: str | os.PathLike | None = None,
) -> ImageDataset:
    """Returns the dataset that a string names.

    Args:
        spec: ``synthetic``, ``synthetic:SIZE`` or ``synthetic:SIZE,texture=LEVELS``,
            ``folder:PATH``, ``arrays:FILE``, ``tfds:NAME`` or ``lsun:PATH``. ``~`` is the home
            folder.
        image_size: side in pixels; None for the source's own default.
        channels: 1 or 3 (folder, tfds).
        num_train_images: size of the training split (synthetic), or its limit (lsun).
        skip_unreadable: whether to leave out damaged files with a warning (folder).
        max_value: the value that is white (arrays, and pictures of 16 bits in a folder); None for
            the rule of ``values``.
        texture: standard deviation of the texture that is added, in levels of 0..255 (synthetic).
        data_dir: where TensorFlow Datasets keeps its files (tfds).
        cache_dir: where prepared images are kept; see ``ImageDataset``.

    Returns:
        An ``ImageDataset``.

    Raises:
        UserError: if the kind is unknown, what follows it is missing, or an option does not apply
            to it.
    """
    kind, rest = kind_and_place(spec)
    source, place = SOURCES[kind], () if kind == "synthetic" else (rest,)
    given = {
        "image_size": image_size,
        "channels": channels,
        "num_train_images": num_train_images,
        "skip_unreadable": skip_unreadable,
        "max_value": max_value,
        "texture": texture,
        "data_dir": data_dir,
        "cache_dir": cache_dir,
    }
    given = {name: value for name, value in given.items() if value is not None}
    options = {**named_options(spec), **given}
    accepted = inspect.signature(source).parameters
    for name in options:
        if name not in accepted:
            raise UserError(f"the option {name} does not apply to {kind!r} datasets")
    dataset = source(*place, **options)
    dataset.origin = {"spec": lasting_spec(spec), **options}
    for name in {"data_dir", "cache_dir"} & options.keys():
        dataset.origin[name] = _absolute(options[name])
    return dataset


def lasting_spec(spec: str) -> str:
    """Returns a spec that names the same images from any working directory."""
    kind, _, place = str(spec).partition(":")
    return f"{kind}:{_absolute(place)}" if KINDS.get(kind) in ("PATH", "FILE") else str(spec)


def _absolute(path):
    """Returns an absolute path with the home folder put in; a URL such as gs://... as it is."""
    path = str(path)
    return path if "://" in path else os.path.abspath(os.path.expanduser(path))


def named_options(spec: str) -> dict[str, Any]:
    """Returns the options of `from_spec` that stand in a spec: ``synthetic:16,texture=20``.

    Raises:
        UserError: what follows ``synthetic:`` is something else.
    """
    kind, colon, rest = str(spec).partition(":")
    if kind != "synthetic" or not colon:
        return {}
    parts = rest.split(",")
    found = (part.groupdict() for part in map(_SYNTHETIC_PART.fullmatch, parts) if part)
    texts = {name: text for part in found for name, text in part.items() if text}
    if len(texts) < len(parts):
        raise UserError(
            "expected synthetic, synthetic:SIZE such as synthetic:16, or with a texture "
            f"synthetic:16,texture=20, got {spec!r}"
        )
    kinds = {"image_size": int, "texture": float}
    return {name: kinds[name](text) for name, text in texts.items()}
