"""What random nuisances do to pictures, in closed form."""

import numpy as np
import pytest

from pcvae.data import nuisances
from pcvae.data.nuisances import with_nuisances

COUNT = 20_000


def test_texture_and_noise_have_the_variances_of_their_strengths():
    """Of a grey picture: texture alone is shared by the channels, noise alone is not."""
    grey = np.full((COUNT, 3, 3, 2), 128, np.uint8)
    centre = with_nuisances(grey, np.random.default_rng(0))[:, 1, 1].astype(float)
    assert centre.mean() == pytest.approx(128.0, abs=0.5)
    # A strength is uniform up to the largest in a share of the pictures, and 0 in the rest.
    texture, noise = (
        nuisances.SHARE * largest**2 / 3 for largest in (nuisances.MAX_TEXTURE, nuisances.MAX_NOISE)
    )
    assert np.cov(centre.T)[0, 1] == pytest.approx(texture, rel=0.05)
    assert centre.var(axis=0) == pytest.approx(texture + noise + 1 / 12, rel=0.05)


def test_blur_spreads_a_point_and_loses_nothing():
    point = np.full((COUNT, 7, 7, 1), 100, np.uint8)
    point[:, 3, 3] += 100
    mean = with_nuisances(point, np.random.default_rng(1)).mean(axis=(0, 3)) - 100.0
    assert mean.sum() == pytest.approx(100.0, abs=5.0)
    # The centre keeps (1 - 2n)^2 of its height, where 1 - 2n is uniform from 1/2 to 1.
    kept = 1 - nuisances.SHARE + nuisances.SHARE * (1 - 0.5**3) / 1.5
    assert mean[3, 3] == pytest.approx(100.0 * kept, abs=1.5)
    assert mean[3, 2:5:2] == pytest.approx(mean[2:5:2, 3], abs=1.5)


def test_equal_generators_give_equal_pictures():
    images = np.random.default_rng(2).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    one, two, other = (with_nuisances(images, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, two)
    assert one.dtype == np.uint8 and (one != other).any()
