"""Random texture, blur and noise: what who reads a picture is to see through."""

import numpy as np

from pcvae.data.texture import correlated

# Ours: the largest of each; the fields are of any correlation, not of those that pictures get.
MAX_TEXTURE, MAX_CORRELATION = 30.0, 0.9
MAX_NOISE = 12.0
MAX_NEIGHBOUR = 0.25  # weight of each neighbour in a blur, along either axis
SHARE = 0.7  # of the pictures get a nuisance, each by itself


def with_nuisances(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns pictures that are blurred, then textured, then noisy, each at random.

    Args:
        images: uint8 [num_images, height, width, channels].
        rng: where the numbers come from.
    """
    count, height, width, _ = images.shape

    def strengths(largest):
        """Draws one for each image, zero where the nuisance is left out."""
        strength = rng.uniform(0.0, largest, count) * (rng.uniform(size=count) < SHARE)
        return strength[:, None, None, None]

    values = _blurred(images.astype(np.float64), strengths(MAX_NEIGHBOUR))
    along_x, along_y = rng.uniform(-MAX_CORRELATION, MAX_CORRELATION, (2, count, 1))
    fields = rng.standard_normal((count, height, width))
    fields = correlated(correlated(fields, along_x, axis=2), along_y, axis=1)
    values += strengths(MAX_TEXTURE) * fields[..., None]
    values += strengths(MAX_NOISE) * rng.standard_normal(images.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _blurred(values, neighbour):
    """Averages each pixel with its neighbours, by their weight, first along y and then along x."""
    for axis in (1, 2):
        before, after = (_shifted(values, axis, step) for step in (-1, 1))
        values = (1.0 - 2.0 * neighbour) * values + neighbour * (before + after)
    return values


def _shifted(values, axis, step):
    """Returns pixels moved by one place; the border is repeated."""
    places = np.clip(np.arange(values.shape[axis]) + step, 0, values.shape[axis] - 1)
    return np.take(values, places, axis)
