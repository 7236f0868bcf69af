"""Interpolations, traversals and swaps of latents, as images.

What is edited are the first levels, or some of them; ``below`` says where those below come from:

* ``keep``: the latents of the image stay. They were found for other latents above them, so that
  what they add may no longer fit: this shows what the edited levels alone change.
* ``infer``: the posterior of the image draws them anew, seeing what was edited: it pulls the edit
  back towards the image as far as lower levels can.
* ``resample``: the prior draws them, at a temperature (0: its means): this shows what the edited
  levels say about an image that nobody saw.
"""

from collections.abc import Iterable

import keras
import numpy as np

from pcvae.checks import check_integer
from pcvae.errors import UserError

BELOW = {"keep": "given", "infer": "posterior", "resample": "prior"}
PATHS = ("slerp", "lerp")


def lerp(first: np.ndarray, second: np.ndarray, amount: float) -> np.ndarray:
    """Returns the point at an amount in [0, 1] of the straight line between two arrays."""
    return (1.0 - amount) * first + amount * second


def slerp(first: np.ndarray, second: np.ndarray, amount: float) -> np.ndarray:
    """Returns the point at an amount in [0, 1] of the great circle between two arrays.

    Each example [batch, ...] is a vector (Shoemake 1985). Its length is interpolated, too. In many
    dimensions a straight line leads through points shorter than any that a normal distribution
    gives; this path does not.
    """
    axes = tuple(range(1, first.ndim))
    norms = [np.sqrt(np.sum(np.square(x), axis=axes, keepdims=True)) for x in (first, second)]
    tiny = np.finfo(np.float32).tiny
    units = [x / np.maximum(norm, tiny) for x, norm in zip((first, second), norms, strict=True)]
    cosine = np.clip(np.sum(units[0] * units[1], axis=axes, keepdims=True), -1.0, 1.0)
    angle = np.arccos(cosine)
    straight = np.sin(angle) < 1e-4  # parallel, or opposite: no one great circle
    safe = np.where(straight, 1.0, np.sin(angle))
    weights = [
        np.where(straight, weight, np.sin(weight * angle) / safe)
        for weight in (1.0 - amount, amount)
    ]
    length = lerp(norms[0], norms[1], amount)
    return (length * (weights[0] * units[0] + weights[1] * units[1])).astype(first.dtype)


def interpolate(
    model: keras.Model,
    first: np.ndarray,
    second: np.ndarray,
    amounts: Iterable[float],
    path: str = "slerp",
    num_levels: int | None = None,
    below: str = "keep",
    seed: int = 0,
    temperature: float = 0.0,
) -> list[np.ndarray]:
    """Goes from images to others through their latents.

    ``lerp`` is a straight line through the latents z_i. ``slerp`` is a great circle through the
    noise of which the prior makes them, (z_i - mean) / standard deviation of p(z_i | z_<i): there,
    and not in z_i, the prior is a standard normal.

    Args:
        model: a `VDVAE` or `StagedVAE`.
        first: uint8 [num_images, height, width, channels].
        second: as many images.
        amounts: numbers in [0, 1]; at 0 and 1 the latents are those of the images themselves.
        path: "slerp" or "lerp".
        num_levels: the first K levels are interpolated; None for all.
        below: where the others come from, of the first images; see above.
        seed: integer, of the posteriors and of levels that are drawn anew.
        temperature: of levels from the prior.

    Returns:
        A list of uint8 [num_images, height, width, channels], one for each amount.
    """
    _check_choice("path", path, PATHS)
    sources = _sources(model, num_levels, below)
    num_edited = model.num_levels if num_levels is None else num_levels
    ends = [model.encode(images, seed=seed) for images in (first, second)]
    noises = [model.noise_of(latents) for latents in ends] if path == "slerp" else None
    results = []
    for amount in amounts:
        if not 0.0 <= amount <= 1.0:
            raise UserError(f"amounts: expected numbers in [0, 1], got {amount}")
        if amount in (0, 1):
            latents = ends[int(amount)]
        elif path == "lerp":
            latents = [lerp(a, b, amount) for a, b in zip(*ends, strict=True)]
        else:
            latents = model.latents_of([slerp(a, b, amount) for a, b in zip(*noises, strict=True)])
        edited = [*latents[:num_edited], *ends[0][num_edited:]]
        results.append(model.edit(first, edited, sources, seed, temperature))
    return results


def traverse(
    model: keras.Model,
    images: np.ndarray,
    level: int,
    channel: int,
    amounts: Iterable[float],
    below: str = "keep",
    seed: int = 0,
    temperature: float = 0.0,
) -> list[np.ndarray]:
    """Moves one channel of one level, in standard deviations of its prior.

    Args:
        model: a `VDVAE` or `StagedVAE`.
        images: uint8 [num_images, height, width, channels].
        level: index of the level, coarsest 0.
        channel: index of the latent's channel, which moves everywhere by the same.
        amounts: numbers of standard deviations of p(z_i | z_<i); 0 gives the reconstruction.
        below: where the levels below come from; see above.
        seed: integer, of the posterior and of levels that are drawn anew.
        temperature: of levels from the prior.

    Returns:
        A list of uint8 [num_images, height, width, channels], one for each amount.
    """
    level = check_integer("level", level, 0, model.num_levels - 1)
    channel = check_integer("channel", channel, 0, model.latent_shapes[level][-1] - 1)
    sources = _sources(model, level + 1, below)
    latents = model.encode(images, seed=seed)
    noise = model.noise_of(latents)
    results = []
    for amount in amounts:
        edited = list(latents)
        if amount:
            moved = [np.copy(values) for values in noise]
            moved[level][..., channel] += amount
            edited[level] = model.latents_of(moved)[level]
        results.append(model.edit(images, edited, sources, seed, temperature))
    return results


def swap(
    model: keras.Model,
    first: np.ndarray,
    second: np.ndarray,
    levels: Iterable[int],
    below: str = "keep",
    seed: int = 0,
    temperature: float = 0.0,
) -> np.ndarray:
    """Gives images some levels of others.

    Args:
        model: a `VDVAE` or `StagedVAE`.
        first: uint8 [num_images, height, width, channels], which are changed.
        second: as many images, whose levels they get.
        levels: indices of these levels; all of them give the reconstruction of ``second``.
        below: where the levels below the coarsest of these come from that are not among them.
        seed: integer, of the posteriors and of levels that are drawn anew.
        temperature: of levels from the prior.

    Returns:
        uint8 [num_images, height, width, channels].
    """
    levels = {check_integer("levels", level, 0, model.num_levels - 1) for level in levels}
    if not levels:
        raise UserError("levels: expected at least one level")
    sources = [
        source if index not in levels else "given"
        for index, source in enumerate(_sources(model, min(levels) + 1, below))
    ]
    own, other = (model.encode(images, seed=seed) for images in (first, second))
    edited = [other[index] if index in levels else own[index] for index in range(len(own))]
    return model.edit(first, edited, sources, seed, temperature)


def _sources(model, num_edited, below):
    """Returns the source of each level: given down to the last that is edited."""
    _check_choice("below", below, BELOW)
    if num_edited is None:
        num_edited = model.num_levels
    num_edited = check_integer("num_levels", num_edited, 1, model.num_levels)
    return ["given"] * num_edited + [BELOW[below]] * (model.num_levels - num_edited)


def _check_choice(name, value, choices):
    if value not in choices:
        raise UserError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
