import re

import numpy as np
import pytest
import tensorflow as tf

from pcvae.distributions.noise import (
    GivenNoise,
    SeededNoise,
    fold_in,
    make_seed,
    open_interval,
    seeded_noise,
)
from pcvae.errors import UserError

KINDS = ("normal", "uniform")


def draw(kind, seed, first, batch, shape=(5, 3), site=2):
    return getattr(seeded_noise(seed, first), kind)(site, (batch, *shape)).numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1,), (5, 3), (4, 4, 2), (7,)])
def test_a_slice_of_the_batch_is_the_slice_of_the_noise(kind, shape):
    whole = draw(kind, 3, 0, 11, shape)
    for first, batch in [(0, 4), (4, 4), (8, 3), (10, 1)]:  # the last ones are ragged
        part = draw(kind, 3, first, batch, shape)
        np.testing.assert_allclose(part, whole[first : first + batch], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_xla_draws_the_same_noise_whatever_the_batch(kind):
    @tf.function(jit_compile=True)
    def compiled(first):
        return getattr(SeededNoise(make_seed(5), first), kind)(2, (4, 5, 3))

    whole = draw(kind, 5, 0, 10)
    for first in (0, 6):
        part = compiled(tf.constant(first, tf.int64))
        np.testing.assert_allclose(part, whole[first : first + 4], rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_batch_size_and_first_example_may_be_tensors(kind):
    @tf.function(input_signature=[tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.int32)])
    def traced(first, batch):
        return getattr(SeededNoise(make_seed(3), first), kind)(2, (batch, 5, 3))

    np.testing.assert_allclose(traced(2, 4), draw(kind, 3, 2, 4), rtol=0, atol=1e-6)


def test_far_examples_differ_from_near_ones():
    first = 2**40
    far = draw("uniform", 0, first, 2)
    assert not np.array_equal(far, draw("uniform", 0, 0, 2))
    np.testing.assert_array_equal(far[1:], draw("uniform", 0, first + 1, 1))


@pytest.mark.parametrize("other", [{"site": 3}, {"seed": 4}, {"seed": 3 + 2**31}, {"first": 4096}])
def test_other_sites_seeds_and_examples_are_uncorrelated(other):
    arguments = {"seed": 3, "first": 0, "batch": 4096, "shape": (4,), "site": 2}
    one = draw("normal", **arguments).ravel()
    two = draw("normal", **(arguments | other)).ravel()
    # The correlation of n independent pairs has standard deviation 1 / sqrt(n).
    assert abs(np.corrcoef(one, two)[0, 1]) < 4.5 / np.sqrt(one.size)


def test_numbers_of_one_example_are_uncorrelated():
    noise = draw("normal", 1, 0, 20000, shape=(9,))
    correlation = np.corrcoef(noise.T) - np.eye(9)
    squares = np.corrcoef(np.square(noise).T) - np.eye(9)
    assert max(np.abs(correlation).max(), np.abs(squares).max()) < 5.0 / np.sqrt(20000)


def test_moments_of_the_normal():
    noise = draw("normal", 0, 0, 2000, shape=(100,)).ravel()
    for power, moment, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        standard_error = np.sqrt(variance / noise.size)
        assert abs(np.mean(noise**power) - moment) < 4.5 * standard_error


def test_uniform_fills_its_interval_evenly():
    noise = draw("uniform", 0, 0, 2000, shape=(100,)).ravel()
    assert noise.min() >= 0.0 and noise.max() < 1.0
    counts = np.bincount((noise * 64).astype(int), minlength=64)
    expected = noise.size / 64
    chi_square = np.sum((counts - expected) ** 2 / expected)
    assert chi_square < 63 + 4.5 * np.sqrt(2 * 63)


def test_open_interval_never_reaches_its_ends():
    inner = open_interval(tf.constant([0.0, 0.5, 1.0 - 2.0**-23, 1.0])).numpy()
    assert inner[0] > 0.0 and inner[-1] < 1.0
    np.testing.assert_array_equal(inner[1:3], [0.5 + 2.0**-24, 1.0 - 2.0**-24])


def test_seeds_are_integers_of_32_bits_and_tensors_pass():
    np.testing.assert_array_equal(make_seed(1), [1, 0])
    np.testing.assert_array_equal(make_seed(np.int64(1)), [1, 0])
    np.testing.assert_array_equal(make_seed(2**32 - 1), [-1, 0])
    np.testing.assert_array_equal(make_seed(tf.constant([7, -9])), [7, -9])
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        make_seed(tf.constant([1, 2, 3]))


@pytest.mark.parametrize("seed", [-1, 2**32, np.int64(-3), 1.0, "1", None, True, [1, 2]])
def test_other_seeds_are_refused_in_one_line(seed):
    with pytest.raises(UserError, match=f"seed: .*got {re.escape(repr(seed))}") as error:
        make_seed(seed)
    assert "\n" not in str(error.value)


def test_folding_in_gives_distinct_seeds():
    seeds = {tuple(fold_in(make_seed(s), d).numpy()) for s in range(20) for d in range(-10, 10)}
    assert len(seeds) == 400
    order = fold_in(fold_in(make_seed(0), 1), 2), fold_in(fold_in(make_seed(0), 2), 1)
    assert not np.array_equal(*order)


def test_given_noise_in_a_loop_is_the_direct_one():
    rng = np.random.default_rng(0)
    shapes = [(2, 1, 1, 3), (2, 4, 4, 3), (2, 4, 4, 3), (2, 4, 4, 3), (2, 8, 8, 3)]
    noise = GivenNoise(tuple(rng.normal(size=shape) for shape in shapes))
    for site, shape in enumerate(shapes):
        np.testing.assert_allclose(noise.normal(site, shape), noise.arrays[site], rtol=1e-6)

    @tf.function
    def loop():
        rows = tf.TensorArray(tf.float32, 3)
        for i in tf.range(3):
            rows = rows.write(i, noise.normal(1 + i, (2, 4, 4, 3)))
        return rows.stack()

    np.testing.assert_allclose(loop(), np.stack(noise.arrays[1:4]), rtol=1e-6)


def test_seeded_noise_in_a_loop_is_the_direct_one():
    noise = seeded_noise(9, 5)

    @tf.function
    def loop():
        rows = tf.TensorArray(tf.float32, 3)
        for i in tf.range(3):
            rows = rows.write(i, noise.normal(4 + i, (2, 3)))
        return rows.stack()

    direct = np.stack([noise.normal(4 + i, (2, 3)) for i in range(3)])
    np.testing.assert_allclose(loop(), direct, rtol=0, atol=1e-6)
