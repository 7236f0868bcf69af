"""From image files and arrays to uint8 [side, side, channels].

Every picture is cropped to its largest centred square (or a given box) and resized by Pillow,
whose filters widen when they shrink, so nothing aliases: Lanczos to shrink, bicubic to enlarge.
"""

import contextlib
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pcvae.data.colour import to_srgb
from pcvae.data.deep_pictures import is_deep, to_8_bits, value_range
from pcvae.data.values import WHITE_OF_16_BITS

# By content, whatever a file is called. Pillow knows many more, some of which (EPS) start programs.
FORMATS = ("PNG", "JPEG", "WEBP")
PICTURES_PER_ROUND = 256
_opening = threading.Lock()


def fit(image: Image.Image, image_size: int, box: tuple | None = None) -> Image.Image:
    """Crops a Pillow image to a square and resizes it.

    Args:
        image: a Pillow image of one 8-bit mode.
        image_size: side of the result in pixels.
        box: (left, top, right, bottom) in pixels; by default the largest centred square.

    Returns:
        A Pillow image of that size.
    """
    if box is None:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        box = (left, top, left + side, top + side)
    square = image.crop(box)  # first, so that the filter sees nothing beyond the box
    if square.size == (image_size, image_size):
        return square
    shrinks = square.width > image_size
    kernel = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    return square.resize((image_size, image_size), kernel)


def fit_array(array: np.ndarray, image_size: int, box: tuple | None = None) -> np.ndarray:
    """Crops and resizes uint8 [height, width, channels], each channel on its own."""
    channels = [
        np.asarray(fit(Image.fromarray(np.ascontiguousarray(array[..., i])), image_size, box))
        for i in range(array.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def decode_file(
    file: str | os.PathLike | BinaryIO,
    image_size: int,
    channels: int,
    white: float = WHITE_OF_16_BITS,
    on_ignored_profile: Callable[[], object] = bool,
) -> np.ndarray:
    """Decodes an image file, upright, to uint8 [image_size, image_size, channels] in sRGB.

    The orientation that a camera wrote (EXIF) and the colour profile (ICC) are applied. Transparent
    pictures are laid on white, 16 bits are scaled to 8, palettes, CMYK and the like become colours;
    of an animation the first frame counts.

    Args:
        file: a path or a binary file: PNG, JPEG or WebP, by its content.
        image_size: side in pixels.
        channels: 1 (luminance) or 3 (RGB).
        white: the value of a picture of 16 bits that becomes 255; see ``values``.
        on_ignored_profile: called if its colour profile cannot be used (``colour.to_srgb``).

    Raises:
        Exception: whatever Pillow raises for a file that is no whole picture.
    """
    with _loaded(file, 4 * image_size) as image:
        if is_deep(file):
            image = to_8_bits(image, file, white)
        upright = to_srgb(_upright(image), on_ignored_profile)
        array = np.asarray(fit(_to_channels(upright, channels), image_size))
    return array.reshape(image_size, image_size, channels)


def range_of_16_bits(file: str | os.PathLike | BinaryIO) -> tuple[int, int]:
    """Returns the smallest and largest value of a picture of 16 bits; raises as `decode_file`."""
    with _loaded(file) as image:
        return value_range(image, file)


@contextlib.contextmanager
def _loaded(file, side=None):
    """Opens an image file and decodes it; JPEG at a fraction of its size, not below a side."""
    # Pillow warns of many pixels before it can be asked for a fraction of them.
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        opened = Image.open(file, formats=FORMATS)
    with opened as image:
        if side is not None:
            image.draft(None, (side, side))  # four times ours loses nothing to see
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and image.width * image.height > limit:
            raise ValueError(f"{image.width}x{image.height} pixels, more than {limit:,}: shrink it")
        image.load()
        yield image


def explain(error: Exception, path: Path) -> str:
    """Returns why a picture cannot be decoded, as part of a line, for whatever Pillow raised."""
    if isinstance(error, UnidentifiedImageError):
        empty = os.path.isfile(path) and os.path.getsize(path) == 0
        return "the file is empty" if empty else "its content is no PNG, JPEG or WebP picture"
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels: shrink it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def _upright(image):
    """Turns a picture as its EXIF asks; EXIF that cannot be read asks for nothing."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _to_channels(image, channels):
    """Converts a Pillow image of any mode to L or RGB."""
    mode = {1: "L", 3: "RGB"}[channels]
    has_alpha = image.mode in ("RGBA", "LA", "PA", "RGBa", "La")
    if has_alpha or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == mode else image.convert("RGB").convert(mode)


def decode_in_threads(items: Iterable, decode: Callable) -> Iterator[tuple]:
    """Decodes items by several threads (Pillow works outside Python's lock), keeping their order.

    Args:
        items: an iterable of items.
        decode: a function from an item to an array.

    Yields:
        (item, array, None), or (item, None, error) where decoding raised.
    """

    def attempt(item):
        try:
            return item, decode(item), None
        # Pillow raises nearly every kind of exception for damaged files, bombs included.
        except Exception as error:
            return item, None, error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        batch = []
        for item in items:
            batch.append(item)
            if len(batch) == PICTURES_PER_ROUND:
                yield from pool.map(attempt, batch)
                batch = []
        yield from pool.map(attempt, batch)
