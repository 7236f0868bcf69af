"""PNG pictures of 16 bits for each value, which Pillow keeps for grey alone."""

import os
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np
from PIL import Image

from pcvae.data.values import WHITE_OF_16_BITS, to_uint8, white_of_whole_numbers

_PNG = b"\x89PNG\r\n\x1a\n"


def is_deep(file: str | os.PathLike | BinaryIO) -> bool:
    """Says whether a file is a PNG of 16 bits, by its first bytes; False if it cannot be read."""
    start = _bytes_of(file, 26)
    return start.startswith(_PNG) and start[24:25] == bytes([16])


def to_8_bits(image: Image.Image, file: str | os.PathLike | BinaryIO, white: float) -> Image.Image:
    """Returns a picture of 16 bits as one of 8, in the mode L, LA, RGB or RGBA.

    Args:
        image: what Pillow makes of it, which tells of its profile and orientation.
        file: the file.
        white: the value that becomes 255; that of transparency is 65535.
    """
    values = _values(image, file)
    colours = to_uint8(values, white)
    if values.shape[-1] in (2, 4):
        colours[..., -1] = to_uint8(values[..., -1], WHITE_OF_16_BITS)
    result = Image.fromarray(colours[..., 0] if colours.shape[-1] == 1 else colours)
    result.info = {key: part for key, part in image.info.items() if key != "transparency"}
    return result


def value_range(image: Image.Image, file: str | os.PathLike | BinaryIO) -> tuple[int, int]:
    """Returns the smallest and the largest value of a picture of 16 bits, transparency aside."""
    values = _values(image, file)
    if values.shape[-1] in (2, 4):
        values = values[..., :-1]
    return int(values.min()), int(values.max())


def white_of_pictures(
    ranges: Iterable[tuple[int, int]], max_value: float | None, holder: str
) -> float:
    """Returns the value that becomes 255 in all pictures of 16 bits of a source (`values`).

    Args:
        ranges: what `value_range` returns for each of them.
        max_value: what the user says, or None.
        holder: the source, for the error.

    Raises:
        UserError: it is not known.
    """
    ranges = list(ranges)
    low, high = min((r[0] for r in ranges), default=0), max((r[1] for r in ranges), default=0)
    if high == 0:  # no such pictures, or black ones
        return WHITE_OF_16_BITS
    return white_of_whole_numbers(low, high, max_value, holder, "16-bit")


def _values(image, file):
    """Returns uint16 [height, width, channels]."""
    if image.mode.startswith("I"):
        return np.clip(np.asarray(image), 0, WHITE_OF_16_BITS).astype(np.uint16)[..., None]
    import tensorflow as tf  # Pillow keeps the upper half of each value alone

    try:
        return tf.io.decode_png(_bytes_of(file), dtype=tf.uint16).numpy()
    except tf.errors.OpError as error:
        raise ValueError("its 16 bits cannot be read") from error


def _bytes_of(file, count=-1):
    """Returns the first bytes of a path or a file, which stays where it is; b"" if unreadable."""
    try:
        if isinstance(file, str | os.PathLike):
            with open(file, "rb") as opened:
                return opened.read(count)
        place = file.tell()
        file.seek(0)
        content = file.read(count)
        file.seek(place)
        return content
    except OSError:
        return b""
