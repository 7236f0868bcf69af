"""The rate by place adds up to the rate of each level."""

import numpy as np
import pytest

from pcvae import models
from tests.models import tiny

pytestmark = pytest.mark.usefixtures("module_eagerly")


def staged():
    first = tiny.first_stage()
    return models.StagedVAE([first, tiny.next_stage([first])])


@pytest.mark.parametrize("make", [tiny.vdvae, staged])
def test_the_sum_over_places_is_the_rate_of_the_level(make):
    model, images = make(), tiny.random_images()
    maps = model.rate_maps(images, seed=3, batch_size=2)
    assert [rates.shape for rates in maps] == [
        (len(images), side, side) for side in model.level_resolutions
    ]
    totals = np.stack([rates.sum(axis=(1, 2)) for rates in maps], axis=1)
    np.testing.assert_allclose(totals, model.rate_per_level(images, seed=3), rtol=1e-4, atol=1e-5)
    assert all((rates >= 0.0).all() for rates in maps)
    assert max(rates.std() for rates in maps) > 0.0
