import itertools

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from pcvae import units
from pcvae.distributions.noise import seeded_noise
from pcvae.layers import levels
from pcvae.layers.heads import HEADS, make_head

CASES = [
    ("logistic_mixture", 3, 8),
    ("logistic_mixture", 1, 5),
    ("logistic_mixture", 4, 2),
    ("linear", 3, 8),
    ("gaussian", 3, 8),
    ("gaussian", 2, 3),
    ("gaussian_floor", 3, 8),
    ("bernoulli", 1, 1),
    ("bernoulli", 3, 1),
]
LIKELIHOODS = [name for name in HEADS if name != "linear"]
DRAWING = [name for name in LIKELIHOODS if name != "gaussian_floor"]  # whose samples are no means
LIKELIHOOD_CASES = [case for case in CASES if case[0] in LIKELIHOODS]


def features_of(seed, shape=(2, 4, 6, 8)):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def images_of(seed, channels, shape=(2, 4, 6)):
    return np.random.default_rng(seed).integers(0, 256, (*shape, channels)).astype(np.uint8)


def head_of(name, channels, bit_depth, **kwargs):
    return make_head(name, channels, bit_depth, num_mixtures=3, **kwargs)


def random_params(head, batch, spread=1.0, seed=0):
    values = np.random.default_rng(seed).normal(size=(batch, 1, 1, head.num_params)) * spread
    return tf.constant(values, tf.float32)


def all_images(channels, bit_depth):
    """Every image of one pixel, uint8 [values, 1, 1, channels]."""
    levels = np.array(list(itertools.product(range(2**bit_depth), repeat=channels)))
    return units.images_from_levels(levels[:, None, None, :], bit_depth)


@pytest.mark.parametrize(("name", "channels", "bit_depth"), CASES)
def test_shapes_types_and_ranges(name, channels, bit_depth):
    head = head_of(name, channels, bit_depth)
    params = head(features_of(0))
    assert params.shape == [2, 4, 6, head.num_params] and params.dtype == tf.float32
    mean = head.mean(3.0 * params)
    assert mean.shape == [2, 4, 6, channels] and mean.dtype == tf.float32
    assert np.abs(mean).max() <= 1.0
    sample = head.sample(params, seeded_noise(0))
    assert sample.shape == [2, 4, 6, channels] and sample.dtype == tf.uint8
    grid = units.images_from_levels(np.arange(2**bit_depth), bit_depth)
    assert set(np.unique(sample)) <= set(grid.numpy())
    if head.has_likelihood:
        assert head.negative_log_likelihood(params, images_of(0, channels)).shape == [2]


@pytest.mark.parametrize(
    ("name", "channels"), [("logistic_mixture", 3), ("gaussian", 3), ("linear", 4)]
)
def test_number_of_parameters(name, channels):
    expected = {"logistic_mixture": 3 * 10, "gaussian": 6, "linear": 4}[name]
    head = head_of(name, channels, 8)
    head.build((None, None, None, 8))
    assert head.num_params == expected
    assert head.count_params() == 9 * expected
    assert head.projection.kernel.shape == (1, 1, 8, expected)


def test_ten_mixtures_of_three_channels_have_the_published_100_parameters():
    assert make_head("logistic_mixture").num_params == 100


def test_the_projection_starts_uniform_with_zero_bias():
    head = make_head("logistic_mixture")
    head.build((None, None, None, 64))
    kernel = head.projection.kernel.numpy()
    bound = 1.0 / np.sqrt(64)
    assert np.abs(kernel).max() <= bound
    # Variance of the uniform is bound^2 / 3; its estimate has a relative error of sqrt(0.8 / n).
    assert np.var(kernel) == pytest.approx(bound**2 / 3, rel=4.5 * np.sqrt(0.8 / kernel.size))
    np.testing.assert_array_equal(head.projection.bias, np.zeros(100))


@pytest.mark.parametrize(
    ("name", "channels", "bit_depth"),
    [
        ("logistic_mixture", 1, 8),
        ("logistic_mixture", 2, 4),
        ("logistic_mixture", 3, 3),
        ("logistic_mixture", 4, 2),
        ("gaussian", 1, 8),
        ("gaussian", 2, 4),
        ("gaussian", 3, 2),
        ("gaussian", 4, 2),
        ("bernoulli", 1, 1),
        ("bernoulli", 2, 1),
        ("bernoulli", 3, 1),
        ("bernoulli", 4, 1),
    ],
)
@pytest.mark.parametrize("spread", [1.0, 30.0, 1000.0])
def test_masses_of_all_values_of_a_pixel_sum_to_one(name, channels, bit_depth, spread):
    head = head_of(name, channels, bit_depth)
    images = all_images(channels, bit_depth)
    for params in tf.split(random_params(head, 4, spread), 4):
        params = tf.repeat(params, images.shape[0], axis=0)
        nll = head.negative_log_likelihood(params, images).numpy().astype(float)
        assert np.exp(-nll).sum() == pytest.approx(1.0, abs=2e-4)


@pytest.mark.parametrize(("name", "channels", "bit_depth"), LIKELIHOOD_CASES)
def test_likelihood_is_the_sum_over_pixels(name, channels, bit_depth):
    head = head_of(name, channels, bit_depth)
    params, images = head(features_of(0)), images_of(1, channels)
    pixels = head.negative_log_likelihood(
        tf.reshape(params, [-1, 1, 1, head.num_params]), images.reshape(-1, 1, 1, channels)
    )
    total = tf.reduce_sum(tf.reshape(pixels, [2, -1]), axis=1)
    np.testing.assert_allclose(head.negative_log_likelihood(params, images), total, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "channels", "bit_depth"),
    [("logistic_mixture", 2, 2), ("gaussian", 2, 2), ("bernoulli", 3, 1), ("gaussian", 1, 4)],
)
def test_samples_follow_the_mass_function(name, channels, bit_depth):
    count, head = 20_000, head_of(name, channels, bit_depth)
    params = random_params(head, 1, 0.7, seed=4)
    many = tf.broadcast_to(params, [count // 100, 10, 10, head.num_params])
    sample = units.levels_from_images(head.sample(many, seeded_noise(5)), bit_depth).numpy()
    observed = np.zeros([2**bit_depth] * channels)
    np.add.at(observed, tuple(sample.reshape(-1, channels).T), 1)
    images = all_images(channels, bit_depth)
    nll = head.negative_log_likelihood(tf.repeat(params, images.shape[0], axis=0), images)
    mass = np.exp(-nll.numpy().astype(float))
    expected, observed = count * mass / mass.sum(), observed.ravel()
    rare = expected < 5.0
    expected = np.append(expected[~rare], expected[rare].sum() + 1e-9)
    observed = np.append(observed[~rare], observed[rare].sum())
    assert scipy.stats.chisquare(observed, expected).pvalue > 1e-4


@pytest.mark.parametrize(("name", "channels", "bit_depth"), CASES)
def test_samples_of_an_example_do_not_depend_on_its_batch(name, channels, bit_depth):
    head = head_of(name, channels, bit_depth)
    params = head(features_of(3, (5, 4, 4, 8)))
    parts = [head.sample(params[:3], seeded_noise(1)), head.sample(params[3:], seeded_noise(1, 3))]
    np.testing.assert_array_equal(tf.concat(parts, 0), head.sample(params, seeded_noise(1)))


class SitesOf:
    """The noise of a seed, which remembers where it was drawn."""

    def __init__(self):
        self.sites = []

    def uniform(self, site, shape):
        self.sites.append(site)
        return seeded_noise(0).uniform(site, shape)


@pytest.mark.parametrize("name", DRAWING)
def test_a_head_draws_once_at_each_of_its_sites_and_at_none_of_a_level(name):
    head, noise = head_of(name, 1, 1), SitesOf()
    head.sample(random_params(head, 2), noise)
    assert noise.sites and len(set(noise.sites)) == len(noise.sites)
    assert min(noise.sites) > levels.MAX_NUMBER  # of levels that a string can ask for


@pytest.mark.parametrize(("name", "channels", "bit_depth"), LIKELIHOOD_CASES)
@pytest.mark.parametrize("value", [-1e4, -1000.0, 0.0, 1000.0, 1e4])
def test_gradients_are_finite_at_extremes(name, channels, bit_depth, value):
    head = head_of(name, channels, bit_depth)
    for noise in (0.0, 1.0):
        params = tf.Variable(value + noise * random_params(head, 8))
        with tf.GradientTape() as tape:
            nll = head.negative_log_likelihood(params, images_of(0, channels, (8, 1, 1)))
        assert np.all(np.isfinite(nll)) and np.all(nll >= -1e-3)
        assert np.all(np.isfinite(tape.gradient(nll, params)))


def test_the_gaussian_head_has_a_soft_floor():
    head = head_of("gaussian", 1, 8)
    params = tf.Variable([[[[0.1, -7.0]]]])
    with tf.GradientTape() as tape:
        nll = head.negative_log_likelihood(params, np.full([1, 1, 1, 1], 100, np.uint8))
    # At the floor the standard deviation is e^(log 2 - 7), and half the gradient passes: a hard
    # floor would pass none. The place lies in a tail, where the density's decay is all that counts.
    std, edge = 2.0 * np.exp(-7.0), 201 / 255 - 1
    tail = (edge - 0.1) / std
    assert float(nll[0]) == pytest.approx(-scipy.stats.norm.logcdf(tail), rel=1e-4)
    slope = tail * np.exp(scipy.stats.norm.logpdf(tail) - scipy.stats.norm.logcdf(tail))
    assert float(tape.gradient(nll, params)[0, 0, 0, 1]) == pytest.approx(0.5 * slope, rel=1e-3)
    # Far above the floor the parameter is the logarithm of the standard deviation itself.
    std = np.exp(1.3)
    expected = scipy.stats.norm(0.25, std).cdf(201 / 255 - 1)  # the upper edge of level 100
    below = all_images(1, 8)[:101]
    nll = head.negative_log_likelihood(tf.constant([[[[0.25, 1.3]]]] * 101), below)
    assert np.exp(-nll.numpy().astype(float)).sum() == pytest.approx(expected, rel=1e-3)


def test_the_bernoulli_head_is_the_cross_entropy():
    head = head_of("bernoulli", 1, 1)
    params = tf.constant([-2.0, 0.5, 3.0], shape=[3, 1, 1, 1])
    nll = head.negative_log_likelihood(params, tf.constant([255, 0, 255], tf.uint8, [3, 1, 1, 1]))
    probability = 1.0 / (1.0 + np.exp([2.0, -0.5, -3.0]))
    expected = -np.log([probability[0], 1.0 - probability[1], probability[2]])
    np.testing.assert_allclose(nll, expected, rtol=1e-5)
    np.testing.assert_allclose(head.mean(params)[:, 0, 0, 0], 2.0 * probability - 1.0, rtol=1e-5)


def test_the_linear_head_is_the_image_and_has_no_likelihood():
    head = head_of("linear", 1, 8)
    params = tf.Variable(tf.constant([-3.0, -0.5, 0.25, 2.0], shape=[1, 2, 2, 1]))
    with tf.GradientTape() as tape:
        mean = head.mean(params)
        error = tf.reduce_sum(tf.square(mean - 0.5))
    np.testing.assert_allclose(tf.reshape(mean, [-1]), [-1.0, -0.5, 0.25, 1.0])
    # The gradient still draws back what has left [-1, 1].
    gradient = tf.reshape(tape.gradient(error, params), [-1])
    np.testing.assert_allclose(gradient, [-3.0, -2.0, -0.5, 1.0])
    sample = tf.reshape(head.sample(params, seeded_noise(0)), [-1])
    np.testing.assert_array_equal(sample, [0, 64, 159, 255])
    assert not head.has_likelihood
    with pytest.raises(ValueError, match="mean squared error"):
        head.negative_log_likelihood(params, images_of(0, 1, (1, 2, 2)))


@pytest.mark.parametrize("name", HEADS)
def test_the_mean_of_a_confident_head_is_the_image(name):
    bit_depth = 1 if name == "bernoulli" else 8
    head = make_head(name, 1, bit_depth, num_mixtures=1)
    image = units.images_from_levels([[[[0]], [[1]]]], bit_depth)
    place = units.signed_from_levels(units.levels_from_images(image, bit_depth), bit_depth)
    narrow = tf.fill(place.shape, -7.0)
    params = {
        "logistic_mixture": tf.concat([tf.zeros_like(place), place, narrow], axis=-1),
        "linear": place,
        "gaussian": tf.concat([place, narrow], axis=-1),
        "gaussian_floor": tf.concat([place, narrow], axis=-1),
        "bernoulli": 30.0 * place,
    }[name]
    np.testing.assert_allclose(head.mean(params), place, atol=1e-6)
    # Half a level in scales of e^-7, and of the Gaussian's soft floor 2 e^-7. One value stands at
    # the edge, where the mass beyond it counts too, the other beside it.
    half = np.exp(7.0) / 255
    inside = scipy.stats.norm.cdf(half / 2)
    nats = {
        "logistic_mixture": np.log1p(np.exp(-half)) - np.log(np.tanh(half / 2)),
        "gaussian": -np.log(inside) - np.log(2 * inside - 1),
        "bernoulli": 2 * np.log1p(np.exp(-30.0)),
    }
    nats["gaussian_floor"] = nats["gaussian"]
    if head.has_likelihood:
        nll = float(head.negative_log_likelihood(params, image)[0])
        assert nll == pytest.approx(nats[name], rel=1e-3, abs=1e-6)
    if name != "logistic_mixture":  # a logistic of scale e^-7 still reaches the next level
        np.testing.assert_array_equal(head.sample(params, seeded_noise(0)), image)


def test_gaussian_floor_is_a_divergence_of_two_normals():
    """Against Monte Carlo of its definition, and 0 at the image itself with the floor's std."""
    head, images = make_head("gaussian_floor", 1), images_of(0, 1, (3, 1, 2))
    floor = head.FLOOR_STD
    signed = units.signed_from_levels(images, 8).numpy()
    params = np.concatenate([signed + 0.1, np.full_like(signed, np.log(0.07))], axis=-1)
    noisy = signed + floor * np.random.default_rng(1).normal(size=(200_000, *signed.shape))
    std = np.exp(head._distribution(params).log_std)
    gap = scipy.stats.norm.logpdf(noisy, signed, floor)
    gap -= scipy.stats.norm.logpdf(noisy, signed + 0.1, std)
    expected = gap.mean(axis=0).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(head.surrogate_nats(params, images), expected, rtol=0.01)
    # Where softplus(x + 7) - 7 is the logarithm of the floor.
    raw = np.log(np.expm1(np.log(floor) + 7.0)) - 7.0
    params = np.concatenate([signed, np.full_like(signed, raw)], axis=-1)
    np.testing.assert_allclose(head.surrogate_nats(params, images), 0.0, atol=1e-5)


def test_samples_of_gaussian_floor_are_its_mean():
    head = make_head("gaussian_floor", 3)
    params = head(features_of(0))
    expected = units.images_from_signed(head.mean(params))
    np.testing.assert_array_equal(head.sample(params, seeded_noise(0)), expected)


@pytest.mark.parametrize("name", ["gaussian", "gaussian_floor", "linear"])
def test_the_means_of_a_residual_head_are_what_it_makes_plus_an_image(name):
    features, image = features_of(0), tf.constant(images_of(1, 2) / 127.5 - 1.0, tf.float32)
    plain = head_of(name, 2, 8)
    expected = plain(features).numpy()
    residual = head_of(name, 2, 8, is_residual=True)
    together = tf.concat([features, image], axis=-1)
    residual.build(together.shape)
    for weight, own in zip(residual.weights, plain.weights, strict=True):
        weight.assign(own)
    expected[..., :2] += image.numpy()  # the other parameters stay
    np.testing.assert_allclose(residual(together), expected, atol=1e-6)
    assert type(residual).from_config(residual.get_config()).is_residual
