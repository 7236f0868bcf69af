"""The rate-distortion curve: what theory says of it, and what must not change it."""

import json

import numpy as np
import pytest
import tensorflow as tf

from pcvae import training, units
from pcvae.distributions.noise import seeded_noise
from pcvae.measure import LikelihoodEvaluation, rate_by_resolution, rate_distortion_curve
from pcvae.models import (
    DDPM,
    VDVAE,
    PrefixDecoders,
    StagedVAE,
    load_weights,
    posterior_prefix,
)
from pcvae.objectives import mse
from tests.conformance.models import DENOISER
from tests.models import tiny

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_eagerly")]

ARGUMENTS = {
    "image_shape": (8, 8, 3),
    "encoder_blocks": "8d2,4d4,1x1",
    "decoder_blocks": "1x2,4m1,8m4",
    "width": 8,
    "latent_width": 2,
    "num_mixtures": 2,
    "prefix_decoders": (3,),
}
SEED = 3
KEYS = {
    "num_levels",
    "resolution",
    "decoder",
    *(
        f"{name}{suffix}"
        for name in ("rate_nats_per_dim", "rate_bits_per_dim", "distortion_mse", "psnr_db")
        for suffix in ("", "_stderr")
    ),
}


def randomise(model):
    for index, weight in enumerate(model.weights):
        weight.assign(0.3 * tf.random.stateless_normal(weight.shape, seed=(index, 0)))
    return model


@pytest.fixture(scope="module")
def model():
    return randomise(VDVAE(**ARGUMENTS))


@pytest.fixture(scope="module")
def decoders(model):
    return randomise(PrefixDecoders.for_model(model))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (11, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def curve(model, images, decoders):
    return rate_distortion_curve(model, images, decoders, SEED, batch_size=11, per_image=True)


def rows_of(curve, decoder):
    return [row for row in curve[0] if row["decoder"] == decoder]


def test_the_rows_are_those_of_the_contract(curve):
    rows, _ = curve
    assert [(row["decoder"], row["num_levels"], row["resolution"]) for row in rows] == [
        ("refit", 2, 1),
        ("refit", 3, 4),
        ("refit", 4, 8),
        ("own", 3, 4),
        ("own", 4, 8),
        ("prior", 1, 1),
        ("prior", 2, 1),
        ("prior", 3, 4),
        ("prior", 4, 8),
    ]
    assert all(row.keys() == KEYS for row in rows)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


def test_rates_grow_with_the_prefix_up_to_that_of_the_likelihood_evaluation(model, images, curve):
    rates = [row["rate_nats_per_dim"] for row in rows_of(curve, "prior")]
    assert rates == sorted(rates)
    record = LikelihoodEvaluation(model, batch_size=4)(images, seed=SEED)
    for name in ("rate_nats_per_dim", "rate_bits_per_dim", "rate_nats_per_dim_stderr"):
        assert rows_of(curve, "prior")[-1][name] == pytest.approx(record[name], rel=1e-6)
    steps = np.diff([0.0, *rates]) * units.num_dims(model.image_shape)
    np.testing.assert_allclose(steps, record["rate_nats_per_level"], rtol=1e-5)


def test_rows_of_one_prefix_have_one_rate(curve):
    rates = {}
    for row in curve[0]:
        rates.setdefault(row["num_levels"], set()).add(row["rate_nats_per_dim"])
    assert all(len(found) == 1 for found in rates.values())


def test_the_whole_model_is_the_likelihood_evaluation(model, images, curve):
    record = LikelihoodEvaluation(model, batch_size=4)(images, seed=SEED)
    for decoder in ("own", "prior"):
        row = rows_of(curve, decoder)[-1]
        for name in ("distortion_mse", "distortion_mse_stderr", "psnr_db", "psnr_db_stderr"):
            assert row[name] == pytest.approx(record[name], rel=1e-6)


def test_the_prior_gives_its_means_below_the_prefix(model, images, curve):
    noise, means = seeded_noise(SEED), tf.zeros(model.num_levels)
    for row in rows_of(curve, "prior"):
        plan = posterior_prefix(row["num_levels"], means)
        error = mse(images, model.output(plan, noise, images).reconstruction)
        np.testing.assert_allclose(row["distortion_mse"], np.mean(error), rtol=1e-5)


def test_refitted_and_own_decoders_see_the_latents_of_the_same_sample(
    model, images, decoders, curve
):
    output = model(images, noise=seeded_noise(SEED), keep_latents=True)
    refitted = decoders(output.latents)
    for row in rows_of(curve, "refit"):
        expected = np.mean(mse(images, refitted[row["num_levels"]]))
        np.testing.assert_allclose(row["distortion_mse"], expected, rtol=1e-5)
    own = mse(images, output.prefix_reconstructions[3])
    np.testing.assert_allclose(rows_of(curve, "own")[0]["distortion_mse"], np.mean(own), rtol=1e-5)


def test_the_values_of_each_image_are_those_behind_the_means(model, images, curve):
    rows, arrays = curve
    assert arrays["rate_nats_per_level"].shape == (11, 4)
    assert arrays["distortion_mse"].shape == (11, len(rows))
    expected = model(images, noise=seeded_noise(SEED)).rate_per_level
    np.testing.assert_allclose(arrays["rate_nats_per_level"], expected, rtol=1e-4)
    for column, row in enumerate(rows):
        errors = arrays["distortion_mse"][:, column].astype(float)
        assert row["distortion_mse"] == pytest.approx(errors.mean())
        assert row["distortion_mse_stderr"] == pytest.approx(errors.std(ddof=1) / np.sqrt(11))
        assert row["psnr_db"] == pytest.approx(np.mean(10 * np.log10(4 / errors)))


def assert_rows_close(actual, expected):
    assert len(actual) == len(expected)
    for row, other in zip(actual, expected, strict=True):
        assert row.keys() == other.keys()
        assert row["decoder"] == other["decoder"]
        for name in row.keys() - {"decoder"}:
            np.testing.assert_allclose(row[name], other[name], rtol=1e-5, atol=1e-7)


def test_ragged_batches_change_nothing(model, images, decoders, curve):
    rows = rate_distortion_curve(model, images, decoders, SEED, batch_size=5)  # the last is of one
    assert_rows_close(rows, curve[0])


def test_two_replicas_equal_one_device(model, images, decoders, curve):
    def copy(original, class_):
        twin = class_.from_config(original.get_config())
        load_weights(twin, {name: w.numpy() for name, w in original.named_weights.items()})
        return twin

    with training.make_strategy("mirrored", ("CPU:0", "CPU:1")).scope():
        rows = rate_distortion_curve(
            copy(model, VDVAE), images, copy(decoders, PrefixDecoders), SEED, batch_size=4
        )
    assert_rows_close(rows, curve[0])


def test_without_fitted_decoders_and_with_one_level_alone(images):
    model = randomise(VDVAE(**{**ARGUMENTS, "num_latent_levels": 1, "prefix_decoders": ()}))
    rows = rate_distortion_curve(model, images[:1])
    assert [(row["decoder"], row["num_levels"]) for row in rows] == [("own", 1), ("prior", 1)]
    assert rows[0]["distortion_mse_stderr"] is None


def test_rates_by_resolution_sum_to_the_whole(curve, model):
    rates = curve[1]["rate_nats_per_level"]
    found = rate_by_resolution(rates, model.level_resolutions, model.image_shape)
    assert list(found) == [1, 4, 8]
    total = sum(value["rate_bits_per_dim"] for value in found.values())
    assert total == pytest.approx(rows_of(curve, "own")[-1]["rate_bits_per_dim"])
    bits = rates[:, :2].sum(axis=1) / 192 / np.log(2)
    assert found[1]["rate_bits_per_dim_stderr"] == pytest.approx(bits.std(ddof=1) / np.sqrt(11))


def test_a_condition_that_follows_from_the_images_is_given_to_the_prior():
    model, images = tiny.conditional(condition_shape=(2, 2, 3)), tiny.random_images()
    rows = rate_distortion_curve(model, images, seed=SEED)
    noise, condition = seeded_noise(SEED), model.natural_condition(images)
    plan = posterior_prefix(1, tf.zeros(2))
    decoded = model.output(plan, noise, images, condition).reconstruction
    (row,) = (row for row in rows if (row["decoder"], row["num_levels"]) == ("prior", 1))
    np.testing.assert_allclose(row["distortion_mse"], np.mean(mse(images, decoded)), rtol=1e-5)


def test_each_stage_of_a_composed_model_has_its_own_image():
    first = tiny.first_stage()
    model, images = StagedVAE([first, tiny.next_stage([first])]), tiny.random_images()
    rows = rate_distortion_curve(model, images, seed=SEED)
    own = {row["num_levels"]: row for row in rows if row["decoder"] == "own"}
    assert list(own) == [1, 3]
    alone = LikelihoodEvaluation(first, batch_size=5)(images, seed=SEED)
    for name in ("rate_nats_per_dim", "distortion_mse", "distortion_mse_stderr"):
        assert own[1][name] == pytest.approx(alone[name], rel=1e-5)


def test_a_diffusion_model_has_an_own_decoder_for_every_prefix():
    model, images = (
        randomise(DDPM((4, 4, 3), betas=(0.1, 0.3, 0.6), **DENOISER)),
        tiny.random_images(),
    )
    rows, arrays = rate_distortion_curve(model, images, seed=SEED, per_image=True)
    assert [(row["decoder"], row["num_levels"]) for row in rows] == [
        *(("own", k) for k in (1, 2, 3)),
        *(("prior", k) for k in model.prefixes),
    ]
    output = model(images, seeded_noise(SEED))
    np.testing.assert_allclose(arrays["distortion_mse"][:, :3], output.prefix_mse, rtol=1e-4)
    plan = posterior_prefix(2, tf.zeros(3))
    error = mse(images, model.output(plan, seeded_noise(SEED), images).reconstruction)
    np.testing.assert_allclose(rows[4]["distortion_mse"], np.mean(error), rtol=1e-4)
    whole = np.mean(mse(images, output.reconstruction))
    np.testing.assert_allclose(
        [rows[2]["distortion_mse"], rows[5]["distortion_mse"]], whole, rtol=1e-5
    )
