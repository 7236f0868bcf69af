"""A dataset from one string, as the command line and gin name it."""

import inspect
import os

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


def from_spec(
    spec: str,
    image_size: int | None = None,
    *,
    channels: int | None = None,
    num_train_images: int | None = None,
    skip_unreadable: bool | None = None,
    max_value: float | None = None,
    data_dir: str | os.PathLike | None = None,
    cache_dir: str | os.PathLike | None = None,
) -> ImageDataset:
    """Returns the dataset that a string names.

    Args:
        spec: ``synthetic`` or ``synthetic:SIZE``, ``folder:PATH``, ``arrays:FILE``, ``tfds:NAME``
            or ``lsun:PATH``. ``~`` is the home folder.
        image_size: side in pixels; None for the source's own default.
        channels: 1 or 3 (folder, tfds).
        num_train_images: size of the training split (synthetic), or its limit (lsun).
        skip_unreadable: whether to leave out damaged files with a warning (folder).
        max_value: the value that is white (arrays, and pictures of 16 bits in a folder); None for
            the rule of ``values``.
        data_dir: where TensorFlow Datasets keeps its files (tfds).
        cache_dir: where prepared images are kept; see ``ImageDataset``.

    Returns:
        An ``ImageDataset``.

    Raises:
        UserError: if the kind is unknown, what follows it is missing, or an option does not apply
            to it.
    """
    kind, rest = kind_and_place(spec)
    source, place = SOURCES[kind], (rest,)
    if kind == "synthetic":
        image_size, place = _synthetic_size(spec, rest, image_size), ()
    options = {
        "image_size": image_size,
        "channels": channels,
        "num_train_images": num_train_images,
        "skip_unreadable": skip_unreadable,
        "max_value": max_value,
        "data_dir": data_dir,
        "cache_dir": cache_dir,
    }
    options = {name: value for name, value in options.items() if value is not None}
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


def _synthetic_size(spec, rest, image_size):
    """Returns the side of synthetic pictures: the option, or else that of ``synthetic:SIZE``."""
    if ":" not in str(spec):
        return image_size
    if not rest.isdecimal():
        raise UserError(f"expected synthetic or synthetic:SIZE such as synthetic:16, got {spec!r}")
    return int(rest) if image_size is None else image_size
