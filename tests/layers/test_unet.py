"""The denoiser: its published size, its start, and that it sees the time and all places."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
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


@pytest.mark.slow
def test_every_place_sees_every_other(network):
    random_weights(network)
    x = tf.Variable(image())
    with tf.GradientTape() as tape:
        corner = tf.reduce_sum(network(x, tf.constant(3.0))[:, 0, 0])
    assert (np.abs(tape.gradient(corner, x)).max(axis=-1) > 0).all()


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
