"""Evaluation counts every image once, whatever the batch and the replicas."""

import json
import math

import numpy as np
import pytest

from pcvae import training
from pcvae.measure import LikelihoodEvaluation, headline, health_findings
from pcvae.measure.health import ERROR
from pcvae.measure.likelihood import summarise
from pcvae.models import VDVAE, load_weights
from pcvae.quantities import evaluation_table

pytestmark = pytest.mark.usefixtures("module_eagerly")

ARGUMENTS = {
    "image_shape": (8, 8, 3),
    "encoder_blocks": "8d2,4d4,1x1",
    "decoder_blocks": "1x1,4m1,8m4",
    "width": 8,
    "latent_width": 2,
    "num_mixtures": 2,
}


@pytest.fixture(scope="module")
def model():
    return VDVAE(**ARGUMENTS)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (11, 8, 8, 3), dtype=np.uint8)


def assert_records_close(actual, expected):
    assert actual.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-5, atol=1e-7)


def test_equals_the_mean_over_images(model, images):
    record = LikelihoodEvaluation(model, batch_size=11)(images, seed=0)
    output = model(images)
    rate = output.rate_per_level.numpy().astype(float)
    bits = (output.nll.numpy() + rate.sum(axis=1)) / (192 * np.log(2))
    np.testing.assert_allclose(record["negative_elbo_bits_per_dim"], bits.mean(), rtol=1e-6)
    np.testing.assert_allclose(
        record["negative_elbo_bits_per_dim_stderr"], bits.std(ddof=1) / np.sqrt(11), rtol=1e-5
    )
    np.testing.assert_allclose(record["rate_nats_per_level"], rate.mean(axis=0), rtol=1e-4)
    assert record["num_images"] == 11


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_batches_change_nothing(model, images, batch_size):
    expected = LikelihoodEvaluation(model, batch_size=11)(images, seed=3)
    assert_records_close(LikelihoodEvaluation(model, batch_size)(images, seed=3), expected)


def test_two_replicas_equal_one_device(model, images):
    expected = LikelihoodEvaluation(model, batch_size=4)(images, seed=3)
    with training.make_strategy("mirrored", ("CPU:0", "CPU:1")).scope():
        mirrored = VDVAE(**ARGUMENTS)
        load_weights(mirrored, {name: w.numpy() for name, w in model.named_weights.items()})
        record = LikelihoodEvaluation(mirrored, batch_size=4)(images, seed=3)
    assert_records_close(record, expected)


def test_parts_sum_to_the_whole(model, images):
    record = LikelihoodEvaluation(model)(images)
    np.testing.assert_allclose(
        record["nll_bits_per_dim"] + record["rate_bits_per_dim"],
        record["negative_elbo_bits_per_dim"],
    )
    np.testing.assert_allclose(
        record["rate_nats_per_dim"] * 192, np.sum(record["rate_nats_per_level"])
    )
    np.testing.assert_allclose(record["rate_bits_per_dim"] * np.log(2), record["rate_nats_per_dim"])
    for name in ("negative_elbo", "nll", "rate"):
        for end in ("", "_stderr"):  # both in nats of an image and in bits per dimension
            nats, bits = record[f"{name}_nats{end}"], record[f"{name}_bits_per_dim{end}"]
            np.testing.assert_allclose(nats, bits * 192 * np.log(2))


def test_one_image_has_no_standard_error_and_is_valid_json(model, images):
    record = LikelihoodEvaluation(model)(images[:1])
    assert record["negative_elbo_bits_per_dim_stderr"] is None
    json.dumps(record, allow_nan=False)
    assert "bits/dim" in headline(record)


def test_an_exact_reconstruction_has_an_infinite_psnr_and_is_no_fault():
    values = {"rate_per_level": np.ones((4, 2)), "nll": np.full(4, 100.0)}
    record = summarise({**values, "mse": np.array([0.0, 0.01, 0.02, 0.03])}, (8, 8, 3))
    assert (record["psnr_db"], record["psnr_db_stderr"]) == (math.inf, None)
    assert record["distortion_mse"] == pytest.approx(0.015)
    assert "psnr infinite dB" in headline(record)
    assert ["PSNR", "infinite", "dB"] in map(str.split, evaluation_table(record).splitlines())
    findings = health_findings({**record, "split": "test"}, [1, 8])
    assert not [finding for finding in findings if finding.severity == ERROR]
    for broken in (math.nan, math.inf):  # no mean of these is a perfect one
        record = summarise({**values, "mse": np.array([0.0, broken, 0.02, 0.03])}, (8, 8, 3))
        assert record["psnr_db"] is record["distortion_mse"] is None
        findings = health_findings({**record, "split": "test"}, [1, 8])
        assert [f.name for f in findings if f.severity == ERROR] == ["values that are not finite"]


def test_psnr_is_the_mean_over_images():
    values = {"rate_per_level": np.ones((2, 1)), "mse": np.array([0.04, 0.0004])}
    record = summarise(values, (8, 8, 3))
    assert record["psnr_db"] == pytest.approx((20.0 + 40.0) / 2)
    assert record["distortion_mse"] == pytest.approx(0.0202)
    assert "nll_bits_per_dim" not in record
