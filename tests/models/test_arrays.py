"""Sampling, reconstruction, encoding, decoding: seeds, prefixes, temperatures."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.models import VDVAE


@pytest.fixture(scope="module")
def model():
    model = VDVAE(
        image_shape=(8, 8, 3),
        encoder_blocks="8d2,4d4,1x1",
        decoder_blocks="1x1,4m1,4x1,8m4",
        width=8,
        latent_width=2,
        num_mixtures=2,
    )
    for index, weight in enumerate(model.weights):
        weight.assign(0.3 * tf.random.stateless_normal(weight.shape, seed=(index, 1)))
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), dtype=np.uint8)


def assert_images_close(actual, expected):
    """Equal but for rounding at the border between two pixel values."""
    difference = np.abs(actual.astype(int) - expected.astype(int))
    assert (difference > 0).mean() < 0.01


def test_equal_seeds_give_equal_images_and_others_do_not(model):
    first, second, other = (model.sample(5, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert (first != other).mean() > 0.5
    assert first.dtype == np.uint8
    assert first.shape == (5, 8, 8, 3)


def test_batches_do_not_change_samples(model):
    whole = model.sample(8, seed=3)
    assert_images_close(model.sample(8, seed=3, batch_size=3), whole)
    parts = [model.sample(3, seed=3), model.sample(5, seed=3, first_sample=3)]
    assert_images_close(np.concatenate(parts), whole)
    assert model.sample(0).shape == (0, 8, 8, 3)


def test_seeds_are_those_of_numpy_and_keras(model):
    assert (model.sample(2, seed=1) != model.sample(2, seed=1 + 2**31)).any()
    np.testing.assert_array_equal(model.sample(2, seed=np.int32(1)), model.sample(2, seed=1))
    for seed in (-1, 2**32, 1.5, None):
        with pytest.raises(UserError, match="seed: expected an integer from 0 to 4294967295"):
            model.sample(2, seed=seed)


def test_temperature_zero_leaves_only_the_noise_of_the_head(model):
    cold = model.sample(50, temperature=0.0)
    # Equal latents, so that pixels differ by the head's draws alone.
    mean_of_images = cold.astype(float).mean(axis=(1, 2, 3)).std()
    warm = model.sample(50, temperature=3.0).astype(float).mean(axis=(1, 2, 3)).std()
    assert mean_of_images < warm


def test_one_temperature_a_level(model):
    np.testing.assert_array_equal(
        model.sample(4, temperature=[0.7] * 4), model.sample(4, temperature=0.7)
    )


BAD_TEMPERATURES = [
    -1.0,
    [1.0, 1.0],
    float("nan"),
    [1, 1, 1, -1],
    1e300,
    "hot",
    None,
    True,
    [1, [2, 3], 4, 5],
    np.ones((4, 4)),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", BAD_TEMPERATURES)
def test_bad_temperatures(model, temperature):
    with pytest.raises(UserError, match="one per level"):
        model.sample(1, temperature=temperature)


def test_decode_of_encode_is_reconstruct(model, images):
    latents = model.encode(images, seed=5)
    assert [latent.shape for latent in latents] == [
        (7, 1, 1, 2),
        (7, 4, 4, 2),
        (7, 4, 4, 2),
        (7, 8, 8, 2),
    ]
    np.testing.assert_array_equal(model.decode(latents), model.reconstruct(images, seed=5))


def test_decode_of_a_prefix_is_reconstruct_of_a_prefix(model, images):
    latents = model.encode(images, seed=5)
    for num_levels in (1, 2, 3):
        np.testing.assert_array_equal(
            model.decode(latents[:num_levels]), model.reconstruct(images, num_levels, seed=5)
        )


def test_the_empty_prefix_knows_nothing_of_the_image(model, images):
    reconstructions = model.reconstruct(images, num_levels=0)
    np.testing.assert_array_equal(reconstructions, np.repeat(reconstructions[:1], 7, axis=0))


def test_batches_change_neither_rates_nor_latents(model, images):
    np.testing.assert_allclose(
        model.rate_per_level(images, batch_size=3), model.rate_per_level(images), rtol=1e-4
    )
    for part, whole in zip(model.encode(images, batch_size=2), model.encode(images), strict=True):
        np.testing.assert_allclose(part, whole, rtol=1e-4, atol=1e-5)


def test_rates_are_those_of_the_model(model, images):
    expected = model(images).rate_per_level
    np.testing.assert_allclose(model.rate_per_level(images, seed=0), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8), np.uint8), np.zeros((0, 8, 8, 3), np.uint8)]
)
def test_bad_images(model, bad):
    with pytest.raises(UserError, match=r"expected uint8 \[num_images, 8, 8, 3\]"):
        model.encode(bad)


@pytest.mark.parametrize("num_levels", [-1, 5, 1.0, True, "4x4"])
def test_bad_prefix(model, images, num_levels):
    with pytest.raises(UserError, match="num_levels: expected an integer from 0 to 4"):
        model.reconstruct(images, num_levels)


@pytest.mark.parametrize("value", [-1, 1.5, True, "2", None])
def test_bad_counts(model, images, value):
    latents = model.encode(images)
    calls = {
        "num_samples": lambda: model.sample(value),
        "first_sample": lambda: model.sample(1, first_sample=value),
    }
    for call in (
        lambda: model.sample(1, batch_size=value),
        lambda: model.reconstruct(images, batch_size=value),
        lambda: model.encode(images, batch_size=value),
        lambda: model.decode(latents, batch_size=value),
        lambda: model.rate_per_level(images, batch_size=value),
    ):
        with pytest.raises(UserError, match="batch_size: expected an integer of at least 1, got"):
            call()
    for name, call in calls.items():
        with pytest.raises(UserError, match=f"{name}: expected an integer of at least 0, got"):
            call()


def test_bad_latents(model, images):
    latents = model.encode(images)
    empty = [latent[:0] for latent in latents]
    words = [latents[0], "z"]
    for bad in (
        [],
        None,
        latents[0],
        empty,
        words,
        latents[::-1],
        [latents[0][:2], latents[1]],
        [*latents, latents[-1]],
    ):
        says = r"the levels \[\(1, 1, 2\), \(4, 4, 2\), \(4, 4, 2\), \(8, 8, 2\)\], got"
        with pytest.raises(UserError, match=says) as error:
            model.decode(bad)
        assert "\n" not in str(error.value)
    latents[2][0, 0, 0, 0] = np.nan
    with pytest.raises(UserError, match="latents: expected finite numbers, got others at level 2"):
        model.decode(latents)
