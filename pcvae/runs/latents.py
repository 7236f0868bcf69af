"""Latents of a run on disk, and pictures of what edits of them do."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pcvae import data, models, show
from pcvae.checks import check_integer, check_number, some_names
from pcvae.data.numpy_files import load_arrays, read_headers
from pcvae.errors import UserError
from pcvae.export.endpoints import level_names
from pcvae.progress import progress_of, waiting
from pcvae.runs.load import load
from pcvae.runs.picture_output import check_picture_size, write_picture_or_arrays

MAX_ROWS = 16
MAX_REACH = 1e6  # standard deviations; beyond it float32 runs out somewhere in a decoder


@waiting("encoding images")
def encode(
    *,
    run_dir: str | os.PathLike,
    images: str | os.PathLike,
    output: str | os.PathLike,
    seed: int = 0,
    num_images: int = 64,
    fallback: bool = True,
) -> None:
    """Writes the latents of images: an ``.npz`` of ``level_000`` and so on, coarsest first.

    Args:
        run_dir: a directory that `train` left.
        images: a folder of pictures, a picture, or a file of arrays.
        output: the ``.npz`` file.
        seed: integer, of the posterior, and of the choice of images.
        num_images: how many images at most; the seed chooses them where there are more.
        fallback: whether an older checkpoint will do; see `load`.

    Raises:
        UserError: the run is damaged, or the images cannot be read.
    """
    model, originals = _open(run_dir, fallback, num_images, seed, images)
    latents = model.encode(originals, seed=seed)
    arrays = dict(zip(level_names(model), latents, strict=True))
    write_picture_or_arrays(output, None, **arrays)


@waiting("decoding latents")
def decode(
    *,
    run_dir: str | os.PathLike,
    latents: str | os.PathLike,
    output: str | os.PathLike,
    seed: int = 0,
    temperature: float = 0.0,
    fallback: bool = True,
) -> None:
    """Writes what a file of latents decodes to: a grid (``.png``) or an ``.npz``.

    Args:
        run_dir: a directory that `train` left.
        latents: a file as `encode` writes it; levels may be missing at the end.
        output: the file.
        seed: integer, of levels that are missing.
        temperature: of the prior that gives them; 0 takes its means.
        fallback: whether an older checkpoint will do; see `load`.

    Raises:
        UserError: the run is damaged, or the latents do not fit it.
    """
    model = load(run_dir, fallback)
    arrays = read_latents(latents, model)
    check_picture_size(output, len(arrays[0]))
    images = model.decode(arrays, seed=seed, temperature=temperature)
    write_picture_or_arrays(output, lambda: show.image_grid(images), images=images)


def read_latents(path: str | os.PathLike, model: models.HierarchicalModel) -> list[np.ndarray]:
    """Returns the latents of a file as a list; shapes are compared before they are read.

    Raises:
        UserError: they are not those of the first levels of the model.
    """
    headers = read_headers(Path(path))
    known = level_names(model)
    names = known[: len(headers)]
    if set(names) != set(headers):
        # Those that are no levels come first.
        found = sorted(headers, key=lambda name: (name in known, name))
        found = some_names((name or "an array without a name" for name in found), 8)
        raise UserError(
            f"{path}: expected the first of the levels {known[0]} to {known[-1]}, got {found}"
        )
    count = headers[names[0]][0][:1]
    for name, shape in zip(names, model.latent_shapes, strict=False):
        got, dtype = headers[name]
        if got[1:] != shape or dtype.kind != "f" or got[:1] != count:
            images = "num_images" if name == names[0] or not count else str(count[0])
            raise UserError(
                f"{path}: expected {name} as floats [{images}, {', '.join(map(str, shape))}], as "
                f"many images at each level; got {dtype} {list(got)}"
            )
    arrays = load_arrays(Path(path), {name: headers[name] for name in names})
    return [arrays[name] for name in names]


def interpolate(
    *,
    run_dir: str | os.PathLike,
    first: str | os.PathLike,
    second: str | os.PathLike,
    output: str | os.PathLike,
    num_steps: int = 7,
    path: str = "slerp",
    num_levels: int | None = None,
    below: str = "keep",
    seed: int = 0,
    temperature: float = 0.0,
    num_images: int = 8,
    fallback: bool = True,
) -> None:
    """Draws paths from images to others, one per column; see `show.interpolate`."""
    num_steps = check_integer("num_steps", num_steps, 2, MAX_ROWS)
    model, starts, ends = _open(run_dir, fallback, num_images, seed, first, second)
    amounts = np.linspace(0.0, 1.0, num_steps).tolist()
    steps = progress_of("interpolating, steps")(amounts)
    results = show.interpolate(
        model, starts, ends, steps, path, num_levels, below, seed, temperature
    )
    rows = [(f"t = {amount:.2f}", row) for amount, row in zip(amounts, results, strict=True)]
    edited = range(model.num_levels if num_levels is None else num_levels)
    way = f"first\n{path}, levels {_ranges(edited)}{_below(model, edited, below)}"
    _write(output, [(way, starts), *rows, ("second", ends)], np.stack(results))


def traverse(
    *,
    run_dir: str | os.PathLike,
    images: str | os.PathLike,
    level: int,
    output: str | os.PathLike,
    channels: Sequence[int] | None = None,
    num_steps: int = 7,
    reach: float = 3.0,
    below: str = "keep",
    seed: int = 0,
    temperature: float = 0.0,
    fallback: bool = True,
) -> None:
    """Draws moves of one image along channels of a level, one per row; see `show.traverse`."""
    num_steps = check_integer("num_steps", num_steps, 2, MAX_ROWS)
    reach = check_number("reach", reach, 0.0, MAX_REACH)
    model, image = _open(run_dir, fallback, 1, seed, images)
    level = check_integer("level", level, 0, model.num_levels - 1)
    width = model.latent_shapes[level][-1]
    channels = range(min(width, MAX_ROWS)) if channels is None else channels
    amounts = np.linspace(-reach, reach, num_steps).tolist()
    rows = []
    for channel in progress_of("moving channels")(channels):
        moved = show.traverse(model, image, level, channel, amounts, below, seed, temperature)
        rows.append((f"channel {channel}", np.concatenate(moved)))
    again = model.reconstruct(image, seed=seed)
    side = model.level_resolutions[level]
    top = f"image, and again\nlevel {level}, {side}x{side}{_below(model, [level], below)}"
    moves = ("std of the prior", [f"{amount:.3g}" for amount in amounts])
    shown = [(top, np.concatenate([image, again])), moves, *rows]
    _write(output, shown, np.stack([row for _, row in rows]))


@waiting("swapping levels")
def swap(
    *,
    run_dir: str | os.PathLike,
    first: str | os.PathLike,
    second: str | os.PathLike,
    levels: Sequence[int],
    output: str | os.PathLike,
    below: str = "keep",
    seed: int = 0,
    temperature: float = 0.0,
    num_images: int = 8,
    fallback: bool = True,
) -> None:
    """Draws images with some levels of others, one per column; see `show.swap`."""
    model, own, other = _open(run_dir, fallback, num_images, seed, first, second)
    results = show.swap(model, own, other, levels, below, seed, temperature)
    what = f"levels {_ranges(levels)}\nof second{_below(model, levels, below)}"
    _write(output, [("first", own), ("second", other), (what, results)], results)


def _open(run_dir, fallback, num_images, seed, *places):
    """Returns the model of a run and images, as many from each place; the seed chooses them."""
    num_images = check_integer("num_images", num_images, 1)
    model = load(run_dir, fallback)
    images = [data.read_images(place, model.image_shape, num_images, seed) for place in places]
    counts = [len(part) for part in images]
    if len(set(counts)) > 1:
        raise UserError(f"expected as many first images as second ones, got {counts}")
    return model, *images


def _write(output, rows, images):
    write_picture_or_arrays(output, lambda: show.labelled_rows(rows), images=images)


def _below(model, edited, below):
    """Returns the line that says where the other levels come from, if there are any below."""
    others = set(range(min(edited), model.num_levels)) - set(edited)
    return f"\nbelow: {below}" if others else ""


def _ranges(levels):
    """Returns levels in short: 0-3, 7."""
    parts, levels = [], sorted(set(levels))
    for level in levels:
        if parts and parts[-1][1] == level - 1:
            parts[-1][1] = level
        else:
            parts.append([level, level])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in parts)
