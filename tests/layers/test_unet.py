"""The denoiser: its published size, its start, its attention, and that it sees the time."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from pcvae.errors import UserError
from pcvae.layers.timed_block import TimedBlock
from pcvae.layers.unet import UNet, sines
from pcvae.models import DDPM
from pcvae.models.recorded import weight_shapes
from tests.models.tiny import random_weights

SMALL = {"width": 8, "multipliers": (1, 2), "attention_resolutions": (4,), "side": 8}


@pytest.fixture
def network(eagerly):
    layer = UNet(blocks_per_resolution=1, **SMALL)
    layer.build()
    return layer


def image(seed=0):
    return tf.random.stateless_normal((2, 8, 8, 3), (seed, 0))


def test_the_configuration_of_cifar10_has_its_published_number_of_parameters():
    shapes = weight_shapes(DDPM)
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 35_746_307


@pytest.mark.slow
def test_it_starts_at_zero_and_then_sees_the_time(network):
    time = tf.constant([1.0, 500.0])
    np.testing.assert_array_equal(network(image(), time), tf.zeros((2, 8, 8, 3)))
    random_weights(network)
    both = network(image(), time)
    for index in range(2):
        alone = network(image()[index : index + 1], time[index])
        np.testing.assert_allclose(alone[0], both[index], rtol=1e-4, atol=1e-4)
    assert np.abs(network(image(), time + 40.0) - both).max() > 1e-2


def test_a_block_ends_with_the_attention_of_numpy(eagerly):
    block = TimedBlock(8, 8, time_width=4, attention=True)
    block.build()
    random_weights(block)
    h = tf.random.stateless_normal((2, 3, 3, 8), (1, 0))
    whole, attention = block(h, tf.ones((1, 4))).numpy(), block.attention
    block.attention = None
    before = block(h, tf.ones((1, 4))).numpy()
    groups = before.reshape(2, 9, 2, 4)
    moments = {"axis": (1, 3), "keepdims": True}
    normed = (groups - groups.mean(**moments)) / np.sqrt(groups.var(**moments) + 1e-6)
    normed = normed.reshape(2, 9, 8) * attention.norm.gamma + attention.norm.beta

    def pointwise(layer, x):
        return x @ layer.kernel.numpy()[0, 0] + layer.bias

    query, key, value = (
        pointwise(layer, normed) for layer in (attention.query, attention.key, attention.value)
    )
    weights = softmax(query @ np.transpose(key, (0, 2, 1)) / np.sqrt(8), axis=-1)
    expected = before + np.reshape(pointwise(attention.out, weights @ value), before.shape)
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-5)


def test_sines_tell_times_apart():
    told = sines(tf.constant([0.0, 2.0]), 8).numpy()
    rates = 10_000.0 ** -(np.arange(4) / 3)
    np.testing.assert_allclose(told[0], [0.0] * 4 + [1.0] * 4)
    np.testing.assert_allclose(told[1], [*np.sin(2 * rates), *np.cos(2 * rates)], rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 10}, "width: expected a multiple of 4, got 10"),
        ({"width": 0}, "width: expected an integer of at least 4, got 0"),
        ({"multipliers": ()}, r"multipliers: expected a list of integers above 0, got \(\)"),
        ({"multipliers": (1, 0)}, "multipliers: expected an integer of at least 1, got 0"),
        ({"side": 9}, "halve the side of the images 1 times, which 9 does not allow"),
        ({"attention_resolutions": (16,)}, "attention_resolutions: expected some of 8, 4, got 16"),
        ({"blocks_per_resolution": 0}, "blocks_per_resolution: expected an integer of at least 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        UNet(**{**SMALL, **changes})
