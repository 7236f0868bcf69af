"""Whether what a user gives to a model is what it takes: images, latents, temperatures."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.layers.plan import GIVEN, POSTERIOR, PRIOR

SOURCES = {"prior": PRIOR, "posterior": POSTERIOR, "given": GIVEN}
OWN, FROM_PRIOR = "own", "prior"
# Ours: of latents far beyond it a decoder makes infinities, which would be drawn as black.
MAX_TEMPERATURE = 1000.0


def checked_temperatures(temperature: Any, num_levels: int, one_per: str = "level") -> np.ndarray:
    """Returns one temperature per level (or stage), float32 [levels], from a number or a list.

    Raises:
        UserError: a number is negative or above 1000, there is none, or the list has another
            length.
    """
    values = _floats(temperature)
    if values is not None and values.ndim == 0:
        values = np.full(num_levels, values)
    fits = values is not None and values.shape == (num_levels,)
    if not fits or not ((values >= 0) & (values <= MAX_TEMPERATURE)).all():
        raise UserError(
            f"temperature: expected a number from 0 to {MAX_TEMPERATURE:g}, or {num_levels} of "
            f"them, one per {one_per}; got {' '.join(repr(temperature).split())}"
        )
    return values.astype(np.float32)


def checked_batch(images: Any, image_shape: Sequence[int]) -> Any:
    """Returns images, if their type and shape are the model's, as far as they are known.

    Args:
        images: an array or a tensor, of a graph that is being traced too.
        image_shape: (height, width, channels).

    Raises:
        UserError: they are not uint8 [batch, height, width, channels].
    """
    if not hasattr(images, "dtype"):
        images = np.asarray(images)
    dtype = getattr(images.dtype, "name", images.dtype)
    known, wanted = tf.TensorShape(images.shape), (None, *image_shape)
    if dtype != "uint8" or not known.is_compatible_with(wanted):
        raise UserError(
            f"images: expected uint8 [batch, {', '.join(map(str, image_shape))}] in 0..255, got "
            f"{dtype} {list(images.shape)}"
        )
    return images


def checked_images(images: Any, image_shape: Sequence[int]) -> np.ndarray:
    """Returns images as a uint8 array [num_images, *image_shape], one or more.

    Raises:
        UserError: they are not as `checked_batch` wants them, or there is none.
    """
    images = checked_batch(np.asarray(images), image_shape)
    if not len(images):
        shape = ", ".join(map(str, image_shape))
        raise UserError(
            f"images: expected one or more, uint8 [batch, {shape}], got uint8 [0, {shape}]"
        )
    return images


def checked_latents(latents: Sequence, latent_shapes: Sequence[tuple]) -> list[np.ndarray]:
    """Returns latents as a list of float32 arrays, if they are those of a prefix.

    Args:
        latents: a list of arrays [num_images, ...].
        latent_shapes: of each level of the model, (side, side, latent_width) for a map.

    Raises:
        UserError: they are something else.
    """
    is_list = isinstance(latents, list | tuple)
    arrays = [_floats(latent) for latent in latents] if is_list else []
    shapes = [() if array is None else array.shape for array in arrays]
    expected = list(latent_shapes)
    counts = {shape[:1] for shape in shapes}
    given = [shape[1:] for shape in shapes]
    if len(counts) != 1 or counts & {(), (0,)} or given != expected[: len(given)]:
        got = f"arrays of shapes {shapes}" if is_list else type(latents).__name__
        raise UserError(
            "latents: expected a list of arrays [num_images, ...], one or more images and the "
            f"first 1 to {len(expected)} of the levels {expected}, got {got}"
        )
    for level, array in enumerate(arrays):
        if not np.isfinite(array).all():
            raise UserError(f"latents: expected finite numbers, got others at level {level}")
    return [array.astype(np.float32) for array in arrays]


def checked_all_latents(
    latents: Sequence, latent_shapes: Sequence[tuple], count: int | None = None
) -> list[np.ndarray]:
    """Returns latents of all levels as arrays; see `checked_latents`.

    Raises:
        UserError: levels are missing, or they are not those of ``count`` images.
    """
    latents = checked_latents(latents, latent_shapes)
    if len(latents) != len(latent_shapes) or count not in (None, len(latents[0])):
        raise UserError(
            f"latents: expected all {len(latent_shapes)} levels, one for each image; got "
            f"{len(latents)} levels of {len(latents[0])} images"
        )
    return latents


def checked_sources(sources: Sequence[str], num_levels: int) -> np.ndarray:
    """Returns the sources of an edit as numbers, int32 [levels].

    Raises:
        UserError: there is not one for each level, or a word is unknown.
    """
    if len(sources) != num_levels or not set(sources) <= SOURCES.keys():
        raise UserError(
            f"sources: expected one of {', '.join(SOURCES)} for each of {num_levels} levels, got "
            f"{sources!r}"
        )
    return np.array([SOURCES[source] for source in sources], np.int32)


def checked_decoder(num_levels: int, decoder: str | None, own: Collection[int]) -> str:
    """Returns which decoder a prefix is decoded by: "own" or "prior".

    Args:
        num_levels: the prefix K.
        decoder: "own", "prior", or None for "own" where there is one.
        own: the prefixes that the model decodes.

    Raises:
        UserError: "own" where there is none, or another word.
    """
    if decoder is None:
        return OWN if num_levels in own else FROM_PRIOR
    if decoder not in (OWN, FROM_PRIOR):
        raise UserError(f"decoder: expected own or prior, got {decoder!r}")
    if decoder == OWN and num_levels not in own:
        raise UserError(
            f"decoder: the model has none of its own for {num_levels} levels, only for "
            f"{', '.join(map(str, own))}: take one of these, or the decoder prior"
        )
    return decoder


def _floats(values):
    """Returns numbers as a float64 array, or None if they are something else."""
    try:
        array = np.asarray(values)
    except ValueError:  # lists of different lengths
        return None
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None
