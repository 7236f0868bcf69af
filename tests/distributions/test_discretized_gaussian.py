import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from pcvae.distributions.discretized_gaussian import DiscretizedGaussian
from pcvae.distributions.noise import seeded_noise


def exact_log_mass(levels, mean, log_std, bit_depth):
    """The definition in float64, by the tail on which the bin lies."""
    top = 2**bit_depth - 1
    mean, std = np.asarray(mean, float), np.exp(np.asarray(log_std, float))
    low = np.where(levels == 0, -np.inf, ((2.0 * levels - 1.0) / top - 1.0 - mean) / std)
    high = np.where(levels == top, np.inf, ((2.0 * levels + 1.0) / top - 1.0 - mean) / std)
    low, high = np.where(low > 0, -high, low), np.where(low > 0, -low, high)
    log_high, log_low = scipy.special.log_ndtr(high), scipy.special.log_ndtr(low)
    return log_high + np.log1p(-np.exp(np.minimum(log_low - log_high, 0.0)))


def all_levels(bit_depth):
    return np.arange(2**bit_depth)[:, None]


@pytest.mark.parametrize("bit_depth", [1, 2, 5, 8])
def test_masses_sum_to_one(bit_depth):
    rng = np.random.default_rng(0)
    mean = np.concatenate([rng.normal(size=40), [0.0, 1.0, -1.0, 1e4, -1e4, 1e4, 0.3]])
    log_std = np.concatenate([rng.uniform(-7, 4, 40), [-7, -7, 30, -7, 9, 80, 1000]])
    law = DiscretizedGaussian(mean, log_std, bit_depth)
    mass = np.exp(law.log_prob(all_levels(bit_depth)).numpy().astype(float))
    np.testing.assert_allclose(mass.sum(axis=0), 1.0, atol=1e-4)


def test_log_mass_is_the_definition():
    rng = np.random.default_rng(1)
    mean = rng.uniform(-1.5, 1.5, 500).astype("float32")
    log_std = rng.uniform(-7.0, 5.0, 500).astype("float32")
    value = DiscretizedGaussian(mean, log_std, 8).log_prob(all_levels(8))
    expected = exact_log_mass(all_levels(8), mean, log_std, 8)
    # A place rounded to float32 moves the log mass by place * rounding / std, as 1e-6 * expected.
    error = np.abs(value - expected) / (1.0 + np.abs(expected))
    assert error.max() < 2e-4


def test_a_narrow_gaussian_fills_one_bin_and_a_wide_one_the_edges():
    narrow = DiscretizedGaussian(0.2, -7.0, 3).prob(np.arange(8)).numpy()
    np.testing.assert_allclose(narrow, np.eye(8)[4], atol=1e-6)  # level 4 stands at 1/7
    wide = DiscretizedGaussian(0.2, 30.0, 3).prob(np.arange(8)).numpy()
    np.testing.assert_allclose(wide, np.eye(8)[[0, 7]].sum(axis=0) / 2.0, atol=1e-6)


def test_samples_follow_the_mass_function():
    law = DiscretizedGaussian([-0.9, 0.1, 0.8], [-0.5, -1.5, 0.5], 3)
    samples = law.sample(40_000, seed=(0, 1)).numpy()
    for column, mass in zip(samples.T, law.prob(all_levels(3)).numpy().T, strict=True):
        counts = np.bincount(column, minlength=8)
        assert scipy.stats.chisquare(counts, 40_000 * mass / mass.sum(dtype=float)).pvalue > 1e-4


def test_samples_from_noise_are_levels_at_extremes():
    uniform = seeded_noise(0).uniform(0, (4, 6))
    uniform = tf.concat([uniform, tf.constant([[0.0, 1.0, 1.0 - 2.0**-23, 0.0, 0.5, 1.0]])], axis=0)
    law = DiscretizedGaussian([-1e4, 1e4, 0.0, 0.0, 1e4, 0.2], [-7, -7, -7, 1000, 1000, 80], 8)
    samples = law.sample_from_uniforms(uniform).numpy()
    assert samples.dtype == np.int32 and samples.min() >= 0 and samples.max() <= 255
    np.testing.assert_array_equal(samples[:, 0], 0)
    np.testing.assert_array_equal(samples[:, 1], 255)


def test_gradients_are_finite_at_extremes():
    means = np.array([0.0, 0.5, 1.0, -1.0, 1e4, -1e4, 3.0], "float32")
    log_stds = np.array([-7.0, -5.0, -1.0, 0.0, 5.0, 80.0, 1000.0], "float32")
    mean, log_std = (tf.Variable(x.ravel()) for x in np.meshgrid(means, log_stds))
    with tf.GradientTape() as tape:
        log_mass = DiscretizedGaussian(mean, log_std, 8).log_prob(all_levels(8))
    assert np.all(np.isfinite(log_mass)) and np.all(log_mass <= 1e-6)
    for gradient in tape.gradient(log_mass, [mean, log_std]):
        assert np.all(np.isfinite(gradient))


def test_gradients_equal_finite_differences_in_float64():
    rng = np.random.default_rng(2)
    levels = rng.integers(0, 32, 300)
    mean, log_std = rng.uniform(-1, 1, 300), rng.uniform(-5, 3, 300)
    parameters = [tf.Variable(mean, dtype=tf.float32), tf.Variable(log_std, dtype=tf.float32)]
    with tf.GradientTape() as tape:
        log_mass = DiscretizedGaussian(*parameters, 5).log_prob(levels)
    by_mean, by_log_std = tape.gradient(log_mass, parameters)
    step = 1e-5
    for gradient, moved in [(by_mean, (step, 0.0)), (by_log_std, (0.0, step))]:
        up = exact_log_mass(levels, mean + moved[0], log_std + moved[1], 5)
        down = exact_log_mass(levels, mean - moved[0], log_std - moved[1], 5)
        np.testing.assert_allclose(gradient, (up - down) / (2 * step), rtol=2e-3, atol=2e-3)


def test_mean_is_that_of_the_gaussian_clipped():
    law = DiscretizedGaussian([-3.0, 0.2, 3.0], 1.0, 8)
    np.testing.assert_allclose(law.mean(), [0.0, 153.0, 255.0], rtol=1e-6)
