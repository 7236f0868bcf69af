"""Grids of images, as arrays and as PNG files."""

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from pcvae.files import FREE_SPACE, PICTURE_MARK, new_file
from pcvae.quantities import RATE, RATES

_GAP = 2  # pixels between images
_BACKGROUND = 255
_GUTTER = 112  # between images: seen beside white ones and beside black ones
_LINE = 16  # pixels from one line of a caption to the next


def image_grid(images: np.ndarray, columns: int | None = None, min_side: int = 64) -> np.ndarray:
    """Lays images out in a grid.

    Args:
        images: uint8 [num_images, height, width, channels].
        columns: images per row; by default about as many as rows.
        min_side: small images are enlarged by a whole factor up to about this side.

    Returns:
        uint8 [grid height, grid width, 3 or 1].
    """
    images = displayable(images)
    count = len(images)
    columns = columns or int(np.ceil(np.sqrt(count)))
    factor = max(1, round(min_side / images.shape[1]))
    images = images.repeat(factor, axis=1).repeat(factor, axis=2)
    height, width, channels = images.shape[1:]
    rows = -(-count // columns)
    shape = (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, channels)
    grid = np.full(shape, _BACKGROUND, np.uint8)  # and places without an image
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + _GAP) + _GAP, column * (width + _GAP) + _GAP
        grid[top - _GAP : top + height + _GAP, left - _GAP : left + width + _GAP] = _GUTTER
        grid[top : top + height, left : left + width] = image
    return grid


def displayable(images: np.ndarray) -> np.ndarray:
    """Returns images as grey or RGB: 2 channels gain a blue of zeros, a fourth is dropped."""
    images = np.asarray(images)
    channels = images.shape[-1]
    if channels == 2:
        return np.concatenate([images, np.zeros_like(images[..., :1])], axis=-1)
    return images[..., :3] if channels == 4 else images


def labelled_rows(rows: Sequence[tuple], min_side: int = 64) -> np.ndarray:
    """Lays rows of images out under each other with a label at the left of each.

    Args:
        rows: list of (label, uint8 [columns, height, width, channels]); or of (label, list of
            texts), each of which names its column.
        min_side: see `image_grid`.

    Returns:
        uint8 [grid height, grid width, 3].
    """
    columns = max(len(content) for _, content in rows)
    strips = [_strip(content, columns, min_side) for _, content in rows]
    grid_width = next(strip.shape[1] for strip in strips if strip is not None)
    font = ImageFont.load_default(size=13)
    margin = 12 + max(int(font.getlength(line)) for label, _ in rows for line in label.split("\n"))
    heights = [_LINE + 6 if strip is None else len(strip) for strip in strips]
    canvas = Image.new("RGB", (margin + grid_width, sum(heights)), (_BACKGROUND,) * 3)
    draw, top = ImageDraw.Draw(canvas), 0
    for (label, content), strip, height in zip(rows, strips, heights, strict=True):
        middle = top + height // 2
        draw.multiline_text((6, middle), label, fill=(0, 0, 0), font=font, anchor="lm")
        if strip is None:
            for index, text in enumerate(content):
                place = margin + _GAP + (index + 0.5) * (grid_width - _GAP) / columns
                draw.text((place, middle), text, fill=(0, 0, 0), font=font, anchor="mm")
        else:
            canvas.paste(Image.fromarray(_rgb(strip)), (margin, top))
        top += height
    return np.asarray(canvas)


def _strip(content, columns, min_side):
    return None if isinstance(content, list) else image_grid(content, columns, min_side)


def captioned_grid(
    rows: Sequence[Sequence[np.ndarray]],
    captions: Sequence[Sequence[str]],
    headers: Sequence[str],
    min_side: int = 64,
) -> np.ndarray:
    """Lays rows of images out with a text under each image and one above each column.

    Args:
        rows: list of lists of images, uint8 [height, width, channels], all of one shape.
        captions: list of lists of texts.
        headers: list of texts.
        min_side: see `image_grid`.

    Returns:
        uint8 [grid height, grid width, 3].
    """
    cells = [[image_grid(image[None], 1, min_side) for image in row] for row in rows]
    side_y, side_x = cells[0][0].shape[:2]
    font = ImageFont.load_default(size=12)
    texts = [text for row in captions for text in row]
    lines = [line for text in (*texts, *headers) for line in text.split("\n")]
    width = max(side_x, 8 + max(int(font.getlength(line)) for line in lines))
    below, above = (_LINE * _num_lines(group) + 6 for group in (texts, headers))
    size = (width * len(headers), above + (side_y + below) * len(rows))
    canvas = Image.new("RGB", size, (_BACKGROUND,) * 3)
    draw = ImageDraw.Draw(canvas)

    def write(text, column, top):
        place = (column * width + width // 2, top)
        draw.multiline_text(place, text, fill=(0, 0, 0), font=font, anchor="ma", align="center")

    for column, text in enumerate(headers):
        write(text, column, 2)
    for index, (row, row_texts) in enumerate(zip(cells, captions, strict=True)):
        top = above + index * (side_y + below)
        for column, (cell, text) in enumerate(zip(row, row_texts, strict=True)):
            left = column * width + (width - side_x) // 2
            canvas.paste(Image.fromarray(_rgb(cell)), (left, top))
            write(text, column, top + side_y)
    return np.asarray(canvas)


def _num_lines(texts):
    return max((text.count("\n") + 1 for text in texts if text), default=0)


def prefix_grid(model: keras.Model, images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Shows images as their prefixes of latents tell them.

    The first row holds the originals, the next the reconstructions from z_1:K at each resolution:
    by the prefix's own decoder where the model has one, else by the model with what lies below K
    from the prior's means.

    Args:
        model: a `VDVAE`.
        images: uint8 [columns, height, width, channels].
        seed: integer, of the posterior and of the choice of images.

    Returns:
        uint8 [grid height, grid width, 3].
    """
    rows = [(original_label(seed), images)]
    for num_levels in model.prefixes:
        resolution = model.level_resolutions[num_levels - 1]
        label = f"{resolution}x{resolution}\n{prefix_label(model, num_levels)}"
        rows.append((label, model.reconstruct(images, num_levels, seed=seed)))
    return labelled_rows(rows)


def original_label(seed: int) -> str:
    """Returns the label of images that a seed has chosen, see `data.chosen_indices`."""
    return f"original\n(seed {seed})"


def prefix_label(model: keras.Model, num_levels: int, decoder: str | None = None) -> str:
    """Returns the label of a row of reconstructions: K, and what decodes it if that is a choice."""
    if num_levels == model.num_levels:
        return f"K = {num_levels}"
    kinds = {"own": "own decoder", "prior": "prior's means"}
    return f"K = {num_levels}\n{kinds[model.decoder_of_prefix(num_levels, decoder)]}"


def conditional_grid(
    model: keras.Model, images: np.ndarray, conditions: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Shows image conditions, what a model draws for them, and the images that they come from.

    Args:
        model: a `ConditionalVDVAE` with an image as condition.
        images: uint8 [columns, height, width, channels].
        conditions: uint8 [columns, side, side, channels], of a side that divides the height.
        seed: integer, also of the choice of images; the second row of samples is drawn with the
            next places of the noise.

    Returns:
        uint8 [grid height, grid width, 3].
    """
    rows = [_condition_row(conditions, images.shape[1])]
    for first in (0, len(images)):
        drawn = model.sample(len(images), seed=seed, first_sample=first, condition=conditions)
        rows.append(("sample", drawn))
    return labelled_rows([*rows, (original_label(seed), images)])


def rows_of_conditions(conditions: np.ndarray, samples: np.ndarray, columns: int = 8) -> np.ndarray:
    """Shows each sample below the image that it was drawn for.

    Args:
        conditions: uint8 [num_images, side, side, channels], of a side that divides the height.
        samples: uint8 [num_images, height, width, channels].
        columns: images per row.

    Returns:
        uint8 [grid height, grid width, 3].
    """
    rows = []
    for start in range(0, len(samples), columns):
        part = slice(start, start + columns)
        rows.append(_condition_row(conditions[part], samples.shape[1]))
        rows.append(("sample", samples[part]))
    return labelled_rows(rows)


def _condition_row(conditions, height):
    """Returns the label and the images, repeated up to a height, of a row of conditions."""
    side = conditions.shape[1]
    factor = height // side
    enlarged = conditions.repeat(factor, axis=1).repeat(factor, axis=2)
    return f"condition\n{side}x{side}", enlarged


def refit_grid(
    refitted: Any,
    images: np.ndarray,
    rows: Sequence[Mapping[str, Any]],
    seed: int = 0,
    rate_unit: str = RATE.unit,
) -> np.ndarray:
    """Shows images as decoders fitted to prefixes tell them, with the price of each prefix.

    Args:
        refitted: a `RefittedPrefixes`.
        images: uint8 [columns, height, width, channels].
        rows: what `rate_distortion_curve` returns for them; rate and PSNR go into the labels.
        seed: integer, of the posterior and of the choice of images.
        rate_unit: "bits/dim" or "nats/dim".

    Returns:
        uint8 [grid height, grid width, 3]: the originals, then a row for each prefix.
    """
    reconstructions, rate = refitted.reconstruct(images, seed=seed), RATES[rate_unit]
    by_prefix = {row["num_levels"]: row for row in rows if row["decoder"] == "refit"}
    labelled = [(original_label(seed), images)]
    for num_levels, reconstruction in reconstructions.items():
        row = by_prefix[num_levels]
        side, cost, psnr = row["resolution"], row[rate.key], row["psnr_db"]
        lines = (
            f"{side}x{side}, K = {num_levels}",
            f"{cost:.3g} {rate.unit}" if cost is not None else "rate not finite",
            "PSNR not finite"
            if psnr is None
            else "no error"
            if psnr == np.inf
            else f"{psnr:.1f} dB",
        )
        labelled.append(("\n".join(lines), reconstruction))
    return labelled_rows(labelled)


def save_png(image: np.ndarray, path: str | os.PathLike, remedy: str = FREE_SPACE) -> None:
    """Writes an array uint8 [height, width, 1 or 3] as a picture, as `files.new_file` does."""
    marks = PngImagePlugin.PngInfo()
    marks.add_text(*PICTURE_MARK)
    with new_file(path, remedy) as partial:
        Image.fromarray(_rgb(image)).save(partial, pnginfo=marks)


def png_bytes(image: np.ndarray) -> bytes:
    """Returns an array uint8 [height, width, 1 or 3] as the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(_rgb(image)).save(buffer, "PNG")
    return buffer.getvalue()


def _rgb(image):
    return image.repeat(3, axis=-1) if image.shape[-1] == 1 else image
