import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pcvae import units
from pcvae.distributions.logistic_mixture import (
    DiscretizedLogisticMixture,
    channel_pairs,
    num_params,
    unpack,
)

GOLDEN = Path(__file__).parents[1] / "goldens" / "vdvae_reference_small.npz"


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


def softplus(x):
    return np.logaddexp(0.0, x)


def brute_force_log_prob(levels, params, channels, bit_depth, num_mixtures):
    """The law of one pixel in float64 with Python loops, straight from its definition."""
    params, top = np.asarray(params, float), 2**bit_depth - 1
    pairs = channel_pairs(channels)
    logits, blocks, start = params[:num_mixtures], [], num_mixtures
    for c in range(channels):
        names = ["mean", "log_scale", *[p for p in range(len(pairs)) if p % channels == c]]
        block = {}
        for name in names:
            block[name] = params[start : start + num_mixtures]
            start += num_mixtures
        blocks.append(block)
    assert start == len(params)
    x = 2.0 * np.asarray(levels, float) / top - 1.0
    terms = []
    for k in range(num_mixtures):
        term = logits[k] - np.logaddexp.reduce(logits)
        for c in range(channels):
            location = blocks[c]["mean"][k]
            for j in range(c):
                p = pairs.index((c, j))
                location += np.tanh(blocks[p % channels][p][k]) * x[j]
            scale = np.exp(max(blocks[c]["log_scale"][k], -7.0))
            high, low = (x[c] + 1.0 / top - location) / scale, (x[c] - 1.0 / top - location) / scale
            if levels[c] == 0:
                term += -softplus(-high)
            elif levels[c] == top:
                term += -softplus(low)
            else:
                term += np.log(-np.expm1(low - high)) - softplus(-high) - softplus(low)
        terms.append(term)
    return np.logaddexp.reduce(terms)


def test_likelihood_of_the_public_reference():
    golden = np.load(GOLDEN)
    target = golden["target"]
    levels = np.rint((target + 1.0) * 127.5).astype(np.int32)
    np.testing.assert_array_equal(units.levels_from_signed(target, 8), levels)
    law = mixture(golden["expected/head_params"], 3, 8, 10)
    nll = -units.sum_per_example(law.log_prob(levels)) / (16 * 16 * 3)
    np.testing.assert_allclose(nll, golden["expected/nll_nats_per_dim"], rtol=1e-4)


def test_layout_of_three_channels_is_the_published_one():
    params = np.arange(num_params(3, 2), dtype="float32")
    logits, means, log_scales, coefficients = unpack(tf.constant(params), 3, 2)
    blocks = params[2:].reshape(3, 6)
    np.testing.assert_array_equal(logits, params[:2])
    np.testing.assert_array_equal(means, blocks[:, :2])
    np.testing.assert_array_equal(log_scales, blocks[:, 2:4])
    np.testing.assert_array_equal(coefficients, blocks[:, 4:])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_unpack_uses_each_parameter_once(channels):
    size = num_params(channels, 5)
    assert size == 5 * (1 + 2 * channels + channels * (channels - 1) // 2)
    parts = unpack(tf.range(size, dtype=tf.float32)[tf.newaxis], channels, 5)
    shapes = [[1, 5], [1, channels, 5], [1, channels, 5], [1, len(channel_pairs(channels)), 5]]
    assert [part.shape for part in parts] == shapes
    together = np.concatenate([part.numpy().ravel() for part in parts])
    np.testing.assert_array_equal(np.sort(together), np.arange(size))


GRIDS = [(1, 1), (1, 5), (1, 8), (2, 4), (2, 5), (3, 2), (3, 3), (4, 2), (4, 1)]


@pytest.mark.parametrize(("channels", "bit_depth"), GRIDS)
def test_masses_of_all_values_sum_to_one(channels, bit_depth):
    params = [random_params(0, 3, channels, 3, spread) for spread in (0.3, 1.0, 3.0, 30.0)]
    law = mixture(np.concatenate(params), channels, bit_depth, 3)
    mass = law.prob(all_values(channels, bit_depth)).numpy().astype(float)
    np.testing.assert_allclose(mass.sum(axis=0), 1.0, atol=1e-4)


@pytest.mark.parametrize(("channels", "bit_depth"), [(1, 8), (2, 4), (3, 3), (4, 2)])
@pytest.mark.parametrize("log_scale", [-1000.0, -7.0, -4.0, 0.0, 30.0, 1000.0])
@pytest.mark.parametrize("mean", [-1e4, -1.0, 0.3, 1e4])
def test_masses_sum_to_one_at_extremes(channels, bit_depth, log_scale, mean):
    pairs = len(channel_pairs(channels))
    parts = (
        [1e4, 0.0, 0.0],
        np.full([channels, 3], mean) * [1.0, -1.0, 0.5],
        np.full([channels, 3], log_scale),
        np.resize([1e3, -1e3, 0.5, 0.0], [pairs, 3]),
    )
    law = DiscretizedLogisticMixture(*[np.asarray(p, "float32") for p in parts], bit_depth)
    mass = law.prob(all_values(channels, bit_depth)[:, 0]).numpy().astype(float)
    assert mass.sum() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(("channels", "bit_depth"), [(1, 8), (2, 5), (3, 8), (4, 3), (4, 1)])
def test_log_prob_is_the_brute_force(channels, bit_depth):
    params = random_params(1, 40, channels, 4, 2.0)
    levels = np.random.default_rng(2).integers(0, 2**bit_depth, (40, channels))
    expected = [
        brute_force_log_prob(v, p, channels, bit_depth, 4)
        for v, p in zip(levels, params, strict=True)
    ]
    value = mixture(params, channels, bit_depth, 4).log_prob(levels)
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4)


def test_a_later_channel_never_moves_an_earlier_one():
    params = random_params(3, 2, 3, 2)
    mass = mixture(params, 3, 2, 2).prob(all_values(3, 2)).numpy().reshape(4, 4, 4, 2)
    # Without the blocks of channels 1 and 2 channel 0 stands alone (its rows 1 and 2 of the table).
    alone = np.concatenate([params[:, :2], params[:, 2:6]], axis=1)
    expected = mixture(alone, 1, 2, 2).prob(all_values(1, 2)).numpy()
    np.testing.assert_allclose(mass.sum(axis=(1, 2)), expected, atol=1e-5)


def test_a_tiny_scale_puts_all_mass_into_one_bin():
    law = mixture([0.0, 0.2, -1000.0], 1, 3, 1)
    np.testing.assert_allclose(law.prob(all_values(1, 3)[:, 0]), np.eye(8)[4], atol=1e-6)


def test_a_huge_scale_halves_the_mass_between_the_edges():
    law = mixture([0.0, 0.2, 40.0], 1, 3, 1)
    expected = np.eye(8)[[0, 7]].sum(axis=0) / 2.0
    np.testing.assert_allclose(law.prob(all_values(1, 3)[:, 0]), expected, atol=1e-6)
    # Inner bins: the width of the bin over 4 scales, far below the smallest float32.
    log_mass = mixture([0.0, 0.2, 1000.0], 1, 3, 1).log_prob([3]).numpy()
    assert log_mass == pytest.approx(np.log(2.0 / 7.0 / 4.0) - 1000.0, rel=1e-6)


def test_full_coupling_moves_the_second_channel_with_the_first():
    parts = ([0.0], [[0.0], [0.0]], [[2.0], [-7.0]], [[20.0]])
    law = DiscretizedLogisticMixture(*[np.asarray(p, "float32") for p in parts], bit_depth=4)
    mass = law.prob(all_values(2, 4)[:, 0]).numpy().reshape(16, 16)
    np.testing.assert_allclose(mass, np.diag(np.diag(mass)), atol=1e-6)
    # The mean of clipped locations: the first stands at 0, so the second does; that is level 7.5.
    np.testing.assert_allclose(law.mean(), [7.5, 7.5], atol=1e-5)


def test_shapes():
    law = mixture(np.zeros([2, 5, num_params(3, 4)]), 3, 8, 4)
    assert law.batch_shape == [2, 5] and law.event_shape == [3]
    np.testing.assert_array_equal(law.batch_shape_tensor(), [2, 5])
    assert law.sample(7, seed=(0, 1)).shape == [7, 2, 5, 3]
    assert law.log_prob(np.zeros([7, 2, 5, 3])).shape == [7, 2, 5]
    assert law.mean().shape == [2, 5, 3]


def gradients(params, levels, channels, bit_depth, num_mixtures):
    params = tf.Variable(params)
    with tf.GradientTape() as tape:
        parts = unpack(params, channels, num_mixtures)
        law = DiscretizedLogisticMixture(*parts, bit_depth=bit_depth)
        log_prob = law.log_prob(levels)
    return log_prob, tape.gradient(log_prob, params)


@pytest.mark.parametrize("bit_depth", [1, 8])
def test_log_prob_and_gradients_are_finite_at_extremes(bit_depth):
    extremes = itertools.product(
        [-1e4, -1.0, 0.0, 1e4],
        [-1e4, 0.3, 1e4],
        [-1000.0, -7.0, -6.9, 0.0, 80.0, 1000.0],
        [-1e3, 1e3],
    )
    rows = []
    for logit, mean, log_scale, coefficient in extremes:
        block = [mean, -mean, log_scale, 0.0, coefficient, 0.0]
        rows.append([logit, 0.0, *block, *block, *block])
    for level in (0, 1, 2**bit_depth // 2, 2**bit_depth - 1):
        levels = np.full([len(rows), 3], level)
        log_prob, gradient = gradients(np.array(rows, "float32"), levels, 3, bit_depth, 2)
        assert np.all(np.isfinite(log_prob)) and np.all(log_prob <= 1e-5)
        assert np.all(np.isfinite(gradient))


def test_gradients_equal_finite_differences_in_float64():
    channels, bit_depth, step = 3, 8, 1e-6
    params = random_params(7, 6, channels, 2, 1.5)
    params[:, 2:] -= 0.5
    levels = np.random.default_rng(8).integers(0, 256, (6, channels))
    levels[0], levels[1] = 0, 255
    _, gradient = gradients(params, levels, channels, bit_depth, 2)
    for row, v, g in zip(params.astype(float), levels, gradient.numpy(), strict=True):
        differences = [
            brute_force_log_prob(v, row + d, channels, bit_depth, 2)
            - brute_force_log_prob(v, row - d, channels, bit_depth, 2)
            for d in step * np.eye(len(row))
        ]
        np.testing.assert_allclose(g, np.array(differences) / (2 * step), rtol=1e-3, atol=1e-3)


def test_xla_gives_the_same_log_prob():
    params = random_params(9, 64, 3, 5, 2.0)
    levels = np.random.default_rng(9).integers(0, 256, (64, 3))

    def log_prob(params):
        return mixture_of_tensor(params).log_prob(levels)

    compiled = tf.function(log_prob, jit_compile=True)(tf.constant(params))
    np.testing.assert_allclose(compiled, log_prob(tf.constant(params)), rtol=1e-5, atol=1e-5)


def mixture_of_tensor(params):
    return DiscretizedLogisticMixture(*unpack(params, 3, 5), bit_depth=8)


def test_unknown_batch_and_side_are_allowed():
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, num_params(3, 5)])])
    def log_prob(params):
        return mixture_of_tensor(params).log_prob(tf.zeros_like(params[..., :3]))

    params = random_params(0, 12, 3, 5).reshape(2, 2, 3, -1)
    expected = mixture_of_tensor(tf.constant(params)).log_prob(np.zeros([2, 2, 3, 3]))
    np.testing.assert_allclose(log_prob(params), expected, rtol=1e-5)
