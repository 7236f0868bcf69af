"""How many examples run at once changes nothing, for any method of any model."""

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_eagerly")]

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
WHOLE, PARTS = {"batch_size": 64}, {"batch_size": 3}  # the last part is smaller


@pytest.fixture(scope="module")
def latents(case, module_eagerly):
    return case.model.encode(case.images, seed=2, **case.given)


def results(case, latents, **options):
    """Returns {method: its images, or a list with its numbers for each level}."""
    model, images, given = case.model, case.images, {**case.given, **options}
    sources = ["given", *["posterior"] * (model.num_levels - 1)]
    moved = [latents[0] + 0.5, *latents[1:]]
    count = len(images)
    return {
        "sample": model.sample(count, 0.9, seed=1, **given),
        "reconstruct": model.reconstruct(images, seed=2, **given),
        "decode a prefix": model.decode(latents[:1], seed=1, temperature=0.9, **given),
        "edit": model.edit(images, moved, sources, seed=2, **given),
        "encode": model.encode(images, seed=2, **given),
        "rate_per_level": [model.rate_per_level(images, seed=2, **given)],
        "rate_maps": model.rate_maps(images, seed=2, **given),
        "noise_of": model.noise_of(latents, **given),
        "latents_of": model.latents_of(latents, **given),
    }


def test_every_method_gives_the_same_in_parts(case, latents):
    parts = results(case, latents, **PARTS)
    for name, whole in results(case, latents, **WHOLE).items():
        if isinstance(whole, np.ndarray):
            assert whole.dtype == np.uint8
            np.testing.assert_array_equal(parts[name], whole, err_msg=name)
            continue
        for actual, expected in zip(parts[name], whole, strict=True):
            np.testing.assert_allclose(actual, expected, err_msg=name, **TOLERANCE)
