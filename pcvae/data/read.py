"""A few images of any source, for looking at: a folder, one picture, or a file of arrays."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from pcvae.data.arrays import read_array_images
from pcvae.data.decode import FORMATS, decode_file, explain, range_of_16_bits
from pcvae.data.deep_pictures import is_deep, white_of_pictures
from pcvae.data.folder import SUFFIXES, list_files
from pcvae.data.order import chosen_indices
from pcvae.errors import UserError
from pcvae.files import printable
from pcvae.progress import report

MAX_UPLOAD_PIXELS = 50_000_000


def read_images(
    path: str | os.PathLike,
    image_shape: Sequence[int],
    num_images: int = 64,
    seed: int | None = None,
) -> np.ndarray:
    """Reads images at the size that a model takes.

    Args:
        path: a folder of pictures, a PNG, JPEG or WebP file, or an ``.npy`` or ``.npz`` file.
        image_shape: (height, width, channels) of the model; pictures are cropped to their centred
            square and resized.
        num_images: at most this many.
        seed: what chooses them where there are more, which a line says; None for the first by name
            or index.

    Returns:
        uint8 [n, height, width, channels].

    Raises:
        UserError: if there are no images, one cannot be decoded, or the channels differ.
    """
    path = Path(os.path.expanduser(path))

    def chosen(count):
        if seed is None or count <= num_images:
            return np.arange(min(count, num_images))
        report(f"{printable(path)}: {num_images:,} of {count:,} images, chosen by seed {seed}")
        return chosen_indices(seed, num_images, count)

    if path.suffix.lower() in (".npy", ".npz"):
        return read_array_images(path, image_shape, chosen)
    if path.is_dir():
        names, _ = list_files(path)
        files = [path / names[index] for index in chosen(len(names))]
    elif path.suffix.lower() in SUFFIXES:
        files = [path]
    else:
        raise UserError(
            f"expected a folder, a PNG, JPEG or WebP file, or .npy or .npz, got {str(path)!r}"
        )
    side, channels = _side_and_channels(image_shape)
    deep = [file for file in files if is_deep(file)]
    white = white_of_pictures((_range(file, str(file)) for file in deep), None, str(path))
    return np.stack([_decode(file, str(file), side, channels, white) for file in files])


def read_upload(
    file: BinaryIO, name: str, image_shape: Sequence[int]
) -> tuple[np.ndarray, tuple[int, int]]:
    """Reads one picture that somebody has sent, at the size that a model takes.

    The content alone says what it is.

    Args:
        file: a binary file that can be rewound.
        name: what the sender calls it, for errors.
        image_shape: (height, width, channels) of the model; see `read_images`.

    Returns:
        uint8 [1, height, width, channels], and the size that the picture had, (width, height).

    Raises:
        UserError: it is no whole PNG, JPEG or WebP picture, or has too many pixels.
    """
    side, channels = _side_and_channels(image_shape)
    try:
        with Image.open(file, formats=FORMATS) as header:
            width, height = header.size
    # Pillow raises nearly every kind of exception for damaged files.
    except Exception as error:
        raise UserError(f"{name!r}: expected a PNG, JPEG or WebP picture, got another") from error
    if width * height > MAX_UPLOAD_PIXELS:
        raise UserError(
            f"{name!r}: expected at most {MAX_UPLOAD_PIXELS:,} pixels, got {width}x{height}"
        )
    file.seek(0)
    ranges = [_range(file, name)] if is_deep(file) else []
    file.seek(0)
    white = white_of_pictures(ranges, None, repr(name))
    return _decode(file, name, side, channels, white)[None], (width, height)


def _side_and_channels(image_shape):
    side, _, channels = image_shape
    if channels not in (1, 3):
        raise UserError(f"pictures give 1 or 3 channels, the model takes {channels}: use .npz")
    return side, channels


def _range(file, name):
    with _explained(name):
        return range_of_16_bits(file)


def _decode(file, name, side, channels, white):
    def tell():
        report(
            f"{name!r}: warning: its colour profile cannot be used, its values are taken as sRGB"
        )

    with _explained(name):
        return decode_file(file, side, channels, white, tell)


@contextlib.contextmanager
def _explained(name):
    try:
        yield
    # Pillow raises nearly every kind of exception for damaged files.
    except Exception as error:
        reason = explain(error, name)
        raise UserError(f"{name!r} cannot be decoded as a picture: {reason}") from error
