"""Edits of latents: the sources of levels, and the coordinates of the prior."""

import numpy as np
import pytest

from pcvae import models
from pcvae.errors import UserError
from tests.models import tiny

pytestmark = pytest.mark.usefixtures("module_eagerly")


def staged():
    first = tiny.first_stage()
    return models.StagedVAE([first, tiny.next_stage([first])])


@pytest.fixture(scope="module", params=["one", "stages"])
def model(request):
    return tiny.vdvae() if request.param == "one" else staged()


@pytest.fixture(scope="module")
def images():
    return tiny.random_images()


@pytest.fixture(scope="module")
def latents(model, images):
    return model.encode(images, seed=4)


def test_all_levels_of_one_source(model, images, latents):
    levels = model.num_levels
    np.testing.assert_array_equal(
        model.edit(images, latents, ["given"] * levels), model.decode(latents)
    )
    # What the latents hold counts for levels that are given, and for no others.
    others = [z + 1 for z in latents]
    np.testing.assert_array_equal(
        model.edit(images, others, ["posterior"] * levels, seed=4),
        model.reconstruct(images, seed=4),
    )
    np.testing.assert_array_equal(
        model.edit(images, others, ["prior"] * levels, seed=4, temperature=0.7),
        model.reconstruct(images, 0, seed=4, temperature=0.7),
    )


def test_levels_below_an_edit(model, images, latents):
    """Below latents that were not changed the posterior gives what it gave."""
    levels = model.num_levels
    sources = ["given", *["posterior"] * (levels - 1)]
    reconstruction = model.reconstruct(images, seed=4)
    np.testing.assert_array_equal(model.edit(images, latents, sources, seed=4), reconstruction)
    edited = [latents[0] + 3, *latents[1:]]
    kept = model.edit(images, edited, ["given"] * levels)
    inferred = model.edit(images, edited, sources, seed=4)
    resampled = model.edit(images, edited, ["given", *["prior"] * (levels - 1)])
    np.testing.assert_array_equal(resampled, model.decode(edited[:1]))
    for first, second in ((kept, inferred), (kept, resampled), (inferred, resampled)):
        assert (first != second).any()


def test_noise_and_latents_are_inverse(model, latents):
    """Of latents of any images, and of any noise: what the prior draws from it has that noise."""
    noise = model.noise_of(latents)
    for there, back in zip(latents, model.latents_of(noise), strict=True):
        np.testing.assert_allclose(back, there, rtol=1e-4, atol=1e-5)
    noise = [np.flip(values) for values in noise]
    drawn = model.latents_of(noise)
    for there, back in zip(noise, model.noise_of(drawn), strict=True):
        np.testing.assert_allclose(back, there, rtol=1e-3, atol=1e-4)


def test_arguments_are_checked(model, images, latents):
    levels = model.num_levels
    with pytest.raises(UserError, match="sources: .*prior, posterior, given"):
        model.edit(images, latents, ["given"] * (levels + 1))
    with pytest.raises(UserError, match="sources"):
        model.edit(images, latents, ["kept"] * levels)
    for bad in (latents[:-1], [z[:2] for z in latents]):
        with pytest.raises(UserError, match=f"latents: expected all {levels} levels"):
            model.edit(images, bad, ["given"] * levels)
