"""Images in a NumPy file."""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pcvae.data.dataset import SPLITS, ImageDataset, check_image_size
from pcvae.data.decode import fit_array
from pcvae.data.numpy_files import load_arrays, read_headers
from pcvae.data.split_names import split_keys
from pcvae.data.splits import held_out_count, split_by_name
from pcvae.data.values import (
    REMEDY,
    WANTED_VALUES,
    check_max_value,
    to_uint8,
    white_of_floats,
    white_of_whole_numbers,
)
from pcvae.errors import UserError
from pcvae.progress import report

ROWS_PER_CHUNK = 256
DARK = 64


class ArrayImages(ImageDataset):
    """Images from a ``.npy`` or ``.npz`` file: [n, height, width, channels] or [n, height, width].

    Values are whole numbers of any type, by the rule of ``values``, or floats in [0, 1], which are
    multiplied by 255 and rounded (so is bool). 1 to 4 channels.

    An ``.npz`` may name its arrays as splits (``split_names.split_keys``): ``train``, ``val``,
    ``x_test``. A missing ``test``, and then a missing ``validation``, is the end of ``train``:
    5,000 images, or a tenth where that is less. Otherwise the array ``images``, or the only one
    that can hold images, is split 80/10/10 by a hash of the index of each image (``splits``), so
    appending images never moves others. A line says what was read, unless names leave no question.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        image_size: int | None = None,
        max_value: float | None = None,
        cache_dir: str | os.PathLike | None = None,
    ) -> None:
        """Reads the header of the file; reading the images waits for the first use.

        Args:
            path: the file.
            image_size: side in pixels; None keeps the size of square images. Others are cropped to
                their centred square and resized (``decode.fit``).
            max_value: the value that is white; None for the rule of ``values``.
            cache_dir: see ``ImageDataset``.

        Raises:
            UserError: if the file is missing or holds no images.
        """
        self._path = Path(os.path.expanduser(path))
        self._max_value = check_max_value(max_value)
        headers = read_headers(self._path)
        self._keys = _choose_keys(headers, path)
        self._headers = {key: headers[key] for key in self._keys.values()}
        self._unread = [key for key in headers if key not in self._headers]
        shapes = {_image_shape(header, key, path) for key, header in self._headers.items()}
        if len(shapes) > 1:
            found = " and ".join(str(shape) for shape in sorted(shapes))
            raise UserError(f"the arrays in {str(path)!r} hold images of different shapes: {found}")
        height, width, channels = shapes.pop()
        if image_size is None and height != width:
            raise UserError(
                f"the images in {str(path)!r} are {height}x{width} (height x width), not square; "
                f"set image_size, for example to {min(height, width)}, to crop and resize them"
            )
        side = check_image_size(height if image_size is None else image_size)
        self._must_fit = (height, width) != (side, side)
        content = {"keys": self._keys, "max_value": self._max_value}
        super().__init__(f"arrays:{path}", (side, side, channels), content, cache_dir)

    def _files(self):
        return self._path, {"": self._path}

    def _prepare(self, writers):
        arrays = load_arrays(self._path, self._headers)
        convert = {
            key: _conversion(array, self.name, self._max_value) for key, array in arrays.items()
        }
        rows = self._rows({key: len(array) for key, array in arrays.items()})
        images = (
            (split, convert[key](image), f"{key}[{index}]")
            for split, (key, indices) in rows.items()
            for index, image in zip(indices, _in_chunks(arrays[key], indices), strict=True)
        )
        total = sum(len(indices) for _, indices in rows.values())
        side, _, channels = self.image_shape
        for split, image, name in self._counted(images, total, "reading images"):
            image = image.reshape(*image.shape[:2], channels)
            writers[split].write(fit_array(image, side) if self._must_fit else image, name)
        return self._told(rows)

    def _rows(self, num_images):
        """Returns a dict from split to (key of its array, indices of its rows)."""
        if "images" in self._keys:
            key = self._keys["images"]
            names = [str(index) for index in range(num_images[key])]
            members = split_by_name(names, f"the file {str(self._path)!r}")
            return {split: (key, np.array(indices)) for split, indices in members.items()}
        rows = {split: (key, np.arange(num_images[key])) for split, key in self._keys.items()}
        for split in ("test", "validation"):
            if split not in rows:
                key, indices = rows["train"]
                rest = len(indices) - max(1, held_out_count(len(indices)))
                rows["train"], rows[split] = (key, indices[:rest]), (key, indices[rest:])
        return {split: rows[split] for split in SPLITS}

    def _told(self, rows):
        """Returns the line that says which arrays were read and which were not, if it is needed."""
        plain = self._keys.keys() == {"images"} or all(k == s for s, k in self._keys.items())
        others = [key for key in self._unread if split_keys([key])]
        if plain and not others and ("images" in self._keys or "test" in self._keys):
            return []
        parts = []
        for split, (key, indices) in rows.items():
            part = "" if self._keys.get(split) == key else "the end of "
            parts.append(f"{split} is {part}{key!r} ({len(indices)})")
        if "images" in self._keys:
            parts = [f"{self._keys['images']!r} is split by the index of each image"]
        unread = f"; not read: {', '.join(map(repr, self._unread))}" if self._unread else ""
        return [f"{', '.join(parts)}{unread}"]


def _choose_keys(headers, path):
    """Returns which array serves which split, or {"images": key} for one array to be split."""
    candidates = [key for key, (shape, _) in headers.items() if len(shape) in (3, 4)]
    named = split_keys(headers)
    keys = {}
    for split, some in named.items():
        fitting = [key for key in some if key in candidates] or some
        if len(fitting) > 1:
            raise UserError(
                f"{str(path)!r} has several arrays for the split {split}: "
                f"{', '.join(map(repr, fitting))}; keep one of them"
            )
        keys[split] = fitting[0]
    if "train" in keys and len(keys) > 1:
        return keys
    if "images" in headers:
        return {"images": "images"}
    if len(headers) == 1 or len(candidates) == 1:
        return {"images": (candidates or list(headers))[0]}
    found = ", ".join(f"{key} {shape}" for key, (shape, _) in headers.items()) or "none"
    raise UserError(
        f"cannot tell which arrays in {str(path)!r} are the images: expected 'train' and 'test' "
        f"(and 'validation'), or 'images', found {found}"
    )


def _image_shape(header, key, path):
    """Returns (height, width, channels) of an array of images, or says what is wrong with it."""
    shape, dtype = header
    what = f"the array {key!r} in {str(path)!r}" if key else f"the array in {str(path)!r}"
    if dtype.kind not in "buif":
        raise UserError(f"{what} has the type {dtype}; {WANTED_VALUES}; {REMEDY}")
    fits = len(shape) == 3 or (len(shape) == 4 and 1 <= shape[3] <= 4)
    if not fits or 0 in shape:
        channels_first = len(shape) == 4 and 1 <= shape[1] <= 4
        hint = "; the channels must come last" if channels_first else ""
        raise UserError(
            f"{what} has the shape {shape}; expected [n, height, width, channels] with 1 to 4 "
            f"channels, or [n, height, width]{hint}"
        )
    return (*shape[1:3], shape[3] if len(shape) == 4 else 1)


def _conversion(array, name, max_value=None):
    """Returns the function that takes values to uint8, after a look at their range."""
    if array.dtype == bool:
        return functools.partial(to_uint8, white=1)
    low, high = array.min(), array.max()  # NaN if any value is
    if array.dtype.kind == "f":
        white = white_of_floats(low, high, max_value, name, array.dtype)
    else:
        white = white_of_whole_numbers(int(low), int(high), max_value, name, array.dtype)
    if white == 1:
        report(f"{name}: floats in [0, 1] are multiplied by 255 and rounded")
    elif white != 255:
        report(f"{name}: values are multiplied by 255 / {white:g} and rounded")
    level = int(to_uint8(high, white))
    if level < DARK:
        report(f"{name}: warning: no value is above {level} of 255, so all images are dark")
    return functools.partial(to_uint8, white=white)


def _in_chunks(array, indices):
    """Yields the rows of an array (or memory map) at sorted indices."""
    for start in range(0, len(indices), ROWS_PER_CHUNK):
        yield from array[indices[start : start + ROWS_PER_CHUNK]]


def read_array_images(
    path: str | os.PathLike, image_shape: Sequence[int], chosen: Callable[[int], np.ndarray]
) -> np.ndarray:
    """Reads images of a file, at the size of a model.

    Args:
        path: the ``.npy`` or ``.npz`` file; of named splits, ``test`` is read, or else another.
        image_shape: (height, width, channels) wanted; images are cropped and resized if need be.
        chosen: function of the number of images that returns the indices of those that are read.

    Returns:
        uint8 [n, height, width, channels].

    Raises:
        UserError: if the file holds no images, or images of another number of channels.
    """
    path = Path(os.path.expanduser(path))
    headers = read_headers(path)
    keys = _choose_keys(headers, path)
    key = next(keys[split] for split in ("test", "images", "validation", "train") if split in keys)
    height, width, channels = _image_shape(headers[key], key, path)
    side, _, wanted = image_shape
    if channels != wanted:
        raise UserError(
            f"{str(path)!r}: expected images of {wanted} channels, [num_images, height, width, "
            f"{wanted}], got {list(headers[key][0])}"
        )
    array = load_arrays(path, {key: headers[key]})[key]
    convert = _conversion(array, str(path))
    images = [convert(row).reshape(height, width, channels) for row in array[chosen(len(array))]]
    if (height, width) != (side, side):
        images = [fit_array(image, side) for image in images]
    return np.stack(images)
