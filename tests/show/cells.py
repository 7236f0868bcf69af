"""Where small images stand in the grids of `pcvae.show`."""

import numpy as np

SIDE, GAP, TEXT = 64, 2, 22  # pixels of an image, between images, and of a row of texts
ROW = SIDE + 2 * GAP


def enlarged(image):
    """Returns an image [side, side, channels] as a cell of a grid shows it, in colour."""
    factor = SIDE // len(image)
    image = image.repeat(factor, axis=0).repeat(factor, axis=1)
    return image.repeat(3, axis=-1) if image.shape[-1] == 1 else image


def margin(picture, columns):
    """Returns how wide the labels of a picture of `labelled_rows` are."""
    return picture.shape[1] - columns * (SIDE + GAP) - GAP


def assert_row(picture, top, images, columns):
    """Checks that the row of a picture of `labelled_rows` that begins at a line holds images."""
    for column, image in enumerate(images):
        left = margin(picture, columns) + GAP + column * (SIDE + GAP)
        cell = picture[top + GAP :][:SIDE, left : left + SIDE]
        np.testing.assert_array_equal(cell, enlarged(image))
