"""Rates and distortions of a Gaussian source with independent components, in closed form.

The source has n components of variances lam_1 ... lam_n. Rates are in nats per dimension, the
distortion is the squared error per dimension.
"""

from typing import NamedTuple

import numpy as np

_HALVINGS = 200  # of the interval of a water level: far below the last bit


class Point(NamedTuple):
    """A rate and its distortion."""

    rate_nats_per_dim: float
    distortion_mse: float


def harmonic_variances(num_dims: int) -> np.ndarray:
    """Returns variances proportional to 1/i, i = 1 ... num_dims, whose mean is 1: [num_dims]."""
    variances = 1.0 / np.arange(1, num_dims + 1)
    return variances / variances.mean()


def shannon_point(variances: np.ndarray, water_level: float) -> Point:
    """Returns a point of Shannon's rate-distortion curve, by reverse water-filling.

    D = mean min(w, lam_i), R = mean max(0, ln(lam_i / w)) / 2 (Cover and Thomas, section 10.3).

    Args:
        variances: [components].
        water_level: w > 0, the distortion of the components that are coded.
    """
    kept = np.minimum(water_level, variances)
    return Point(float(0.5 * np.log(variances / kept).mean()), float(kept.mean()))


def diffusion_point(variances: np.ndarray, signal_to_noise: float) -> Point:
    """Returns the prefix of an endless diffusion that ends at a signal-to-noise ratio s.

    Its posterior is fixed, x plus white noise, and its decoder the posterior mean, so that
    R = mean ln(1 + s lam_i) / 2 and D = mean lam_i / (1 + s lam_i): the limit of a DDPM with many
    levels and an exact denoiser (Shu and Ermon 2022, section 3.3).

    Args:
        variances: [components].
        signal_to_noise: s >= 0.
    """
    gains = signal_to_noise * variances
    return Point(float(0.5 * np.log1p(gains).mean()), float((variances / (1.0 + gains)).mean()))


def shannon_rate(variances: np.ndarray, distortion_mse: float) -> float:
    """Returns the least rate at a distortion, in nats per dimension; 0 from the mean variance on.

    Args:
        variances: [components].
        distortion_mse: above 0.
    """
    if distortion_mse >= variances.mean():
        return 0.0
    return _rate_at(distortion_mse, shannon_point, variances, 0.0, float(variances.max()))


def diffusion_rate(variances: np.ndarray, distortion_mse: float) -> float:
    """Returns the rate at which a diffusion reaches a distortion; see `diffusion_point`."""
    if distortion_mse >= variances.mean():
        return 0.0
    # At this signal-to-noise ratio every component is below the distortion.
    return _rate_at(distortion_mse, diffusion_point, variances, 1.0 / distortion_mse, 0.0)


def _rate_at(distortion_mse, curve, variances, fine, coarse):
    """Halves the interval of a curve's parameter, from an end of less distortion to one of more."""
    for _ in range(_HALVINGS):
        middle = 0.5 * (fine + coarse)
        if curve(variances, middle).distortion_mse > distortion_mse:
            coarse = middle
        else:
            fine = middle
    return curve(variances, fine).rate_nats_per_dim
