import math

import numpy as np
import pytest
import tensorflow as tf

from pcvae import units

BIT_DEPTHS = range(1, 9)


def test_one_bit_is_log_two_nats_and_back():
    assert units.bits_to_nats(1.0) == pytest.approx(math.log(2.0))
    assert units.nats_to_bits(units.bits_to_nats(3.7)) == pytest.approx(3.7)


def test_uniform_pixels_cost_their_bit_depth_in_bits_per_dim():
    image_shape = (4, 6, 3)
    nats = 72 * math.log(256.0)
    assert units.num_dims(image_shape) == 72
    assert units.nats_per_dim(nats, image_shape) == pytest.approx(math.log(256.0))
    assert units.bits_per_dim(nats, image_shape) == pytest.approx(8.0)


def test_reductions_keep_the_first_axis():
    values = tf.reshape(tf.range(24.0), [2, 3, 4])
    np.testing.assert_allclose(units.sum_per_example(values), [66.0, 210.0])
    np.testing.assert_allclose(units.mean_per_example(values), [5.5, 17.5])


def test_psnr_of_known_errors():
    # Peak to peak is 2 on [-1, 1]: an error of the whole range is 0 dB, of a tenth 20 dB.
    np.testing.assert_allclose(units.psnr_db(tf.constant([4.0, 0.04])), [0.0, 20.0], atol=1e-5)
    # The same number as on uint8, where the peak is 255.
    error_255 = 12.75
    signed_mse = (2.0 * error_255 / 255.0) ** 2
    np.testing.assert_allclose(
        units.psnr_db(signed_mse), 20.0 * math.log10(255.0 / error_255), rtol=1e-6
    )


@pytest.mark.parametrize("bit_depth", BIT_DEPTHS)
def test_levels_survive_every_round_trip(bit_depth):
    levels = np.arange(2**bit_depth)
    assert units.max_level(bit_depth) == levels[-1]
    images = units.images_from_levels(levels, bit_depth)
    assert images.dtype == tf.uint8
    assert images[0] == 0 and images[-1] == 255
    np.testing.assert_array_equal(units.levels_from_images(images, bit_depth), levels)
    signed = units.signed_from_levels(levels, bit_depth)
    assert signed[0] == -1.0 and signed[-1] == 1.0
    np.testing.assert_allclose(np.diff(signed), 2.0 / (2**bit_depth - 1), rtol=2e-5)
    np.testing.assert_array_equal(units.levels_from_signed(signed, bit_depth), levels)


@pytest.mark.parametrize("bit_depth", BIT_DEPTHS)
def test_levels_of_all_images_are_their_top_bits(bit_depth):
    images = np.arange(256, dtype=np.uint8)
    levels = units.levels_from_images(images, bit_depth)
    np.testing.assert_array_equal(levels, images // 2 ** (8 - bit_depth))
    again = units.images_from_levels(levels, bit_depth)
    np.testing.assert_array_equal(units.levels_from_images(again, bit_depth), levels)
    assert np.max(np.abs(again.numpy().astype(int) - images)) < 2 ** (8 - bit_depth)


@pytest.mark.parametrize("bit_depth", BIT_DEPTHS)
def test_rounding_takes_the_nearest_level_and_clips(bit_depth):
    top = 2**bit_depth - 1
    places = np.random.default_rng(0).uniform(-1.0, 1.0, 1000)
    distance = np.abs(places[:, None] - (2.0 * np.arange(top + 1) / top - 1.0))
    np.testing.assert_array_equal(
        units.levels_from_signed(places, bit_depth), distance.argmin(axis=1)
    )
    np.testing.assert_array_equal(
        units.levels_from_signed([-1e30, -1.5, 1.5, 1e30], bit_depth), [0, 0, top, top]
    )
