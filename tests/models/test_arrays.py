"""Sampling, reconstruction, encoding, decoding: seeds, prefixes, temperatures."""

import re

import numpy as np
import pytest
import tensorflow as tf

from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.models import VDVAE, Prior

pytestmark = pytest.mark.slow


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
        with pytest.raises(UserError, match=f"seed: .*got {seed}"):
            model.sample(2, seed=seed)


def test_temperature_zero_leaves_only_the_noise_of_the_head(model):
    means = model.sample(4, temperature=0.0, seed=1, pixels="mean")
    np.testing.assert_array_equal(means, np.repeat(means[:1], 4, axis=0))
    for seed in (1, 2):
        drawn = model.sample(4, temperature=0.0, seed=seed)
        np.testing.assert_array_equal(
            model.sample(4, temperature=0.0, seed=seed, pixels="mean"), means
        )
        noise = seeded_noise(seed)
        params = model.output(Prior(tf.zeros(4)), noise, num_images=1).head_params
        assert_images_close(drawn, model.head.sample(tf.repeat(params, 4, axis=0), noise).numpy())
    assert (model.sample(4, temperature=0.1, seed=1, pixels="mean") != means).any()


def test_a_temperature_for_every_level(model):
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
    got = re.escape(" ".join(repr(temperature).split()))
    with pytest.raises(UserError, match=f"temperature: .*got {got}"):
        model.sample(1, temperature=temperature)


def test_decode_of_a_prefix_is_reconstruct_of_a_prefix(model, images):
    latents = model.encode(images, seed=5)
    for num_levels in (1, 2, 3):
        np.testing.assert_array_equal(
            model.decode(latents[:num_levels]), model.reconstruct(images, num_levels, seed=5)
        )


def test_the_empty_prefix_knows_nothing_of_the_image(model, images):
    reconstructions = model.reconstruct(images, num_levels=0)
    np.testing.assert_array_equal(reconstructions, np.repeat(reconstructions[:1], 7, axis=0))


def test_rates_are_those_of_the_model(model, images):
    expected = model(images).rate_per_level
    np.testing.assert_allclose(model.rate_per_level(images, seed=0), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8), np.uint8), np.zeros((0, 8, 8, 3), np.uint8)]
)
def test_bad_images(model, bad):
    got = re.escape(f"{bad.dtype} {list(bad.shape)}")
    with pytest.raises(UserError, match=rf"images: .*uint8 \[.*8, 8, 3\].*got {got}"):
        model.encode(bad)


@pytest.mark.parametrize("num_levels", [-1, 5, 1.0, True, "4x4"])
def test_bad_prefix(model, images, num_levels):
    with pytest.raises(UserError, match=f"num_levels: .* 4.*got {num_levels!r}"):
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
        with pytest.raises(UserError, match=f"batch_size: .*got {value!r}"):
            call()
    for name, call in calls.items():
        with pytest.raises(UserError, match=f"{name}: .*got {value!r}"):
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
