"""Stationary Gaussian fields of luminance: detail that costs many bits and shows nothing."""

from types import MappingProxyType
from typing import NamedTuple

import numpy as np

STRENGTH = 0.8
# name -> correlation of neighbours along x and along y. Whoever knows a correlation r has
# -log(1 - r^2) / 2 nats a pixel to gain by it: 0.51 along one axis, twice that along both.
CORRELATIONS = MappingProxyType(
    {
        "white": (0.0, 0.0),
        "along_x": (STRENGTH, 0.0),
        "along_y": (0.0, STRENGTH),
        "checkered": (-STRENGTH, -STRENGTH),
    }
)


class Texture(NamedTuple):
    """A field and which of `CORRELATIONS` it was drawn by."""

    name: str
    values: np.ndarray  # float64 [side, side] of mean 0 and variance 1


def draw_texture(rng: np.random.Generator, side: int) -> Texture:
    """Draws one of the fields, each as often as the others.

    Args:
        rng: where the numbers come from.
        side: in pixels.
    """
    name = list(CORRELATIONS)[rng.integers(len(CORRELATIONS))]
    along_x, along_y = CORRELATIONS[name]
    white = rng.standard_normal((side, side))
    return Texture(name, correlated(correlated(white, along_x, axis=1), along_y, axis=0))


def correlated(white: np.ndarray, correlation: float | np.ndarray, axis: int) -> np.ndarray:
    """Makes of white noise what is stationary along an axis: r^d at the distance d.

    Args:
        white: independent numbers of variance 1 along the axis, [...].
        correlation: r of neighbours, between -1 and 1; one number, or an array that is broadcast
            to the other axes.
        axis: along which.

    Returns:
        An array of the same shape, of variance 1: a first-order autoregression.
    """
    values = np.moveaxis(white.copy(), axis, 0)
    fresh = np.sqrt(1.0 - correlation**2)
    for place in range(1, len(values)):
        values[place] = correlation * values[place - 1] + fresh * values[place]
    return np.moveaxis(values, 0, axis)
