"""Perceptual distances: identities, closed forms, and images too small for them."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae import models
from pcvae.errors import UserError
from pcvae.measure import LPIPS, PerceptualEvaluation
from pcvae.measure.perceptual import MS_SSIM_MIN_SIDE, as_rgb, reasons


def make_model(image_shape=(32, 32, 3)):
    return models.VDVAE(
        image_shape=image_shape,
        encoder_blocks="32d8,4x1",
        decoder_blocks="4x1,32m4,32x1",
        width=8,
        latent_width=2,
        num_mixtures=1,
    )


@pytest.fixture(scope="module")
def evaluation():
    lpips = LPIPS("alex", widths=(4, 4, 4, 4, 4))
    return PerceptualEvaluation(make_model(), lpips=lpips, batch_size=4)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)


def signed(images):
    return tf.constant(images / 127.5 - 1.0, tf.float32)


def test_equal_images_are_at_the_best_value(evaluation, images):
    values = evaluation.distances(images, signed(images))
    np.testing.assert_allclose(values["ssim"], 1.0, atol=1e-5)
    np.testing.assert_allclose(values["lpips"], 0.0, atol=1e-6)


def test_ssim_of_constant_images_is_its_term_of_luminance(evaluation):
    dark, light = np.full((1, 32, 32, 3), 51, np.uint8), np.full((1, 32, 32, 3), 102, np.uint8)
    a, b, c = 0.2, 0.4, 0.01**2
    expected = (2 * a * b + c) / (a**2 + b**2 + c)
    ssim = evaluation.distances(dark, signed(light))["ssim"]
    np.testing.assert_allclose(ssim, [expected], rtol=1e-4)


def test_the_record_holds_means_with_errors_over_all_images(evaluation, images):
    record = evaluation(images)
    values = evaluation.per_image(images)
    assert len(values["ssim"]) == len(values["lpips"]) == 6  # the ragged batch included
    assert record["ssim"] == pytest.approx(values["ssim"].mean(), rel=1e-6)
    assert record["ssim_stderr"] == pytest.approx(values["ssim"].std(ddof=1) / 6**0.5, rel=1e-5)
    assert record["lpips"] == pytest.approx(values["lpips"].mean(), rel=1e-6)


def test_one_image_has_no_error(evaluation, images):
    record, whole = evaluation(images[:1]), evaluation.per_image(images)
    assert record["lpips"] == pytest.approx(whole["lpips"][0], rel=1e-4)
    assert record["lpips_stderr"] is None


def test_what_images_are_too_small_for_is_none_with_the_reason(evaluation, images):
    record = evaluation(images)
    assert (record["ms_ssim"], record["ms_ssim_stderr"]) == (None, None)
    assert record["ms_ssim_reason"] == (
        "five scales of such windows need 161 pixels a side, the images have 32x32"
    )
    small = reasons(["ssim", "ms_ssim", "lpips"], (8, 16, 3), evaluation.lpips)
    assert set(small) == {"ssim", "ms_ssim", "lpips"}


def test_the_least_side_of_ms_ssim_is_the_least():
    def images(side):
        noise = np.random.default_rng(0).random((2, 1, side, side + 1, 1))
        return tf.constant(noise, tf.float32)

    assert np.isfinite(tf.image.ssim_multiscale(*images(MS_SSIM_MIN_SIDE), max_val=1.0)).all()
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.image.ssim_multiscale(*images(MS_SSIM_MIN_SIDE - 1), max_val=1.0)


def test_every_number_of_channels_becomes_rgb():
    for channels in (1, 2, 3, 4):
        images = np.random.default_rng(0).uniform(-1, 1, (2, 3, 3, channels)).astype(np.float32)
        rgb = np.asarray(as_rgb(images))
        assert rgb.shape == (2, 3, 3, 3)
        np.testing.assert_array_equal(rgb[..., 0], images[..., 0])
        last = {1: images[..., 0], 2: -1.0}.get(channels, images[..., min(channels, 3) - 1])
        np.testing.assert_array_equal(rgb[..., 2], np.broadcast_to(last, rgb[..., 2].shape))


def test_what_is_unknown_or_lacks_its_weights_is_refused(evaluation):
    with pytest.raises(UserError, match="expected some of ssim, ms_ssim, lpips, got psnr"):
        PerceptualEvaluation(evaluation.model, ["psnr"])
    with pytest.raises(UserError, match="pcvae-import-lpips"):
        PerceptualEvaluation(evaluation.model, ["lpips"])
