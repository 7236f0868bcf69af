import itertools

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from pcvae.distributions.logistic_mixture import (
    DiscretizedLogisticMixture,
    levels_from_uniforms,
    num_params,
    unpack,
)
from pcvae.distributions.noise import seeded_noise


def mixture(params, channels, bit_depth, num_mixtures):
    parts = unpack(tf.constant(params, tf.float32), channels, num_mixtures)
    return DiscretizedLogisticMixture(*parts, bit_depth=bit_depth)


def random_params(seed, batch, channels, num_mixtures, spread=1.0):
    size = num_params(channels, num_mixtures)
    return (np.random.default_rng(seed).normal(size=(batch, size)) * spread).astype("float32")


def all_values(channels, bit_depth):
    """Every value of a pixel, [values, 1, channels]."""
    values = list(itertools.product(range(2**bit_depth), repeat=channels))
    return np.array(values, np.int32)[:, None, :]


@pytest.mark.parametrize(("channels", "bit_depth"), [(1, 5), (2, 2), (3, 2), (4, 1)])
def test_samples_follow_the_mass_function(channels, bit_depth):
    count = 40_000
    params = random_params(5, 1, channels, 3)
    params[:, 3:] *= 1.5
    law = mixture(params, channels, bit_depth, 3)
    samples = law.sample(count, seed=(1, 2)).numpy()[:, 0]
    assert samples.dtype == np.int32
    observed = np.zeros([2**bit_depth] * channels)
    np.add.at(observed, tuple(samples.T), 1)
    mass = law.prob(all_values(channels, bit_depth)).numpy().astype(float).ravel()
    expected, observed = count * mass / mass.sum(), observed.ravel()
    rare = expected < 5.0  # pooled, as the test asks
    expected = np.append(expected[~rare], expected[rare].sum() + 1e-9)
    observed = np.append(observed[~rare], observed[rare].sum())
    assert len(expected) > 2
    assert scipy.stats.chisquare(observed, expected).pvalue > 1e-4


def test_samples_from_uniforms_invert_the_distribution_function():
    # One component: a sample is the level at which the summed mass passes the uniform.
    law = mixture([0.0, 0.1, -1.0], 1, 5, 1)
    uniform = np.linspace(0.001, 0.999, 500, dtype="float32")[:, None]
    below = np.cumsum(law.prob(all_values(1, 5)[:, 0]).numpy().astype(float))
    expected = np.searchsorted(below, uniform)
    # The component's uniform is 0 and 1 at the ends: neither may take a component without weight.
    component = np.linspace(0.0, 1.0, 500, dtype="float32")[:, None]
    samples = law.sample_from_uniforms(component, uniform).numpy()
    assert np.mean(samples == expected) > 0.995 and np.abs(samples - expected).max() <= 1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_levels_from_parameters_are_samples_of_the_mixture(channels):
    params = random_params(7, 200, channels, 5).reshape(10, 20, -1)
    component, value = np.random.default_rng(8).random((2, 10, 20, channels), "float32")
    component = component[..., :1]
    law = mixture(params, channels, 8, 5)
    np.testing.assert_array_equal(
        levels_from_uniforms(tf.constant(params), channels, 5, 8, component, value),
        law.sample_from_uniforms(component, value),
    )


def test_uniforms_of_zero_and_one_are_safe():
    logits = [-1e4, 0.0, 0.0, -1e4]  # outer components have no weight
    means = [[9.0, 0.1, 0.1, 9.0]]
    law = DiscretizedLogisticMixture(
        *[np.asarray(p, "float32") for p in (logits, means, [[-7.0] * 4], np.zeros([0, 4]))], 8
    )
    ends = np.array([0.0, 0.5, 1.0 - 2.0**-23, 1.0], "float32")
    grid = np.stack(np.meshgrid(ends, ends), axis=-1)
    samples = law.sample_from_uniforms(grid[..., :1], grid[..., 1:])
    assert np.abs(samples.numpy() - 140).max() < 5  # 0.1 is level 140.25; 16 scales are 1.9 levels
    for log_scale in (60.0, 1000.0):
        wide = mixture([0.0, 0.1, log_scale], 1, 8, 1)
        samples = wide.sample_from_uniforms(ends[:, None], ends[:, None]).numpy().ravel()
        np.testing.assert_array_equal(samples, [0, 255, 255, 255])


def test_samples_of_an_example_do_not_depend_on_the_batch():
    params = random_params(6, 8, 3, 4)

    def sample(first, last):
        noise, batch = seeded_noise(3, first), last - first
        law = mixture(params[first:last], 3, 8, 4)
        return law.sample_from_uniforms(noise.uniform(0, (batch, 1)), noise.uniform(1, (batch, 3)))

    np.testing.assert_array_equal(tf.concat([sample(0, 5), sample(5, 8)], 0), sample(0, 8))


def test_mean_mixes_clipped_locations():
    parts = (
        [0.0, np.log(3.0)],
        [[0.4, 7.0], [0.5, -0.5]],
        np.zeros([2, 2]),
        [[0.0, np.arctanh(0.5)]],
    )
    law = DiscretizedLogisticMixture(*[np.asarray(p, "float32") for p in parts], bit_depth=8)
    # Component 0: (0.4, 0.5); component 1: (7 clipped to 1, -0.5 + 0.5 * 1 = 0); weights 1/4, 3/4.
    expected = 127.5 * (1.0 + np.array([0.25 * 0.4 + 0.75, 0.25 * 0.5]))
    np.testing.assert_allclose(law.mean(), expected, rtol=1e-5)
