"""Where commands put images: one picture, a folder of pictures, or a file of arrays."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pcvae import show
from pcvae.errors import UserError
from pcvae.files import write_arrays

MAX_IMAGES_IN_PICTURE = 1024


def check_picture_size(output: str | os.PathLike, num_images: int) -> None:
    """Raises UserError unless a file can hold some images: arrays can, pictures have an end."""
    if Path(output).suffix.lower() != ".npz" and num_images > MAX_IMAGES_IN_PICTURE:
        raise UserError(
            f"{output}: a picture holds at most {MAX_IMAGES_IN_PICTURE:,} images, got "
            f"{num_images:,}: write arrays instead, to a file name in .npz"
        )


def write_picture_or_arrays(
    output: str | os.PathLike, picture: Callable[[], np.ndarray] | None, **arrays: Any
) -> None:
    """Writes arrays to an ``.npz``, or what ``picture()`` returns as a PNG; makes folders."""
    output = Path(output)
    if output.suffix.lower() == ".npz":
        write_arrays(output, **arrays)
    else:
        show.save_png(picture(), output)


class PictureFolder:
    """A folder that gets one PNG for each image: ``000000.png`` and so on, by the image's index.

    Args:
        folder: the folder; it may hold images of other indices.
        indices: a range, the indices of the images that will come.

    Raises:
        UserError: an image of one of these indices is there.
    """

    def __init__(self, folder: str | os.PathLike, indices: range) -> None:
        self._folder, self._indices = Path(folder), indices
        names = [path.stem for path in self._folder.glob("*.png")]
        there = sorted({int(name) for name in names if name.isdecimal()})
        there = [index for index in there if index in indices and self._path(index).exists()]
        if there:
            raise UserError(
                f"{self._path(there[0])} is there, and nothing is overwritten: use another "
                "folder, or --first_sample to go on from it"
            )

    def write(self, first_index: int, images: np.ndarray) -> None:
        """Writes images of consecutive indices.

        Raises:
            UserError: there is no room; the images before stay, and the line says how to go on.
        """
        for index, image in enumerate(images, first_index):
            left = f"--first_sample={index} --num_samples={self._indices.stop - index}"
            remedy = f"free some space there and go on with {left}"
            show.save_png(show.displayable(image), self._path(index), remedy)

    def _path(self, index):
        return self._folder / f"{index:06d}.png"
