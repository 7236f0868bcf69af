import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from pcvae.distributions.gaussian import DiagonalGaussian

tfd = tfp.distributions

SEED = (3, 7)  # stateless: an int would be mixed with the global seed


def gaussian(mean, log_std):
    return DiagonalGaussian(tf.constant(mean, tf.float32), tf.constant(log_std, tf.float32))


def random_gaussian(seed, shape=(200,), spread=1.0):
    rng = np.random.default_rng(seed)
    return gaussian(rng.normal(size=shape) * spread, rng.normal(size=shape) * spread)


def test_log_prob_moments_and_entropy_equal_scipy():
    q = random_gaussian(0)
    mean, std = q.mean().numpy().astype(float), q.stddev().numpy().astype(float)
    law = scipy.stats.norm(mean, std)
    value = np.random.default_rng(1).normal(size=200)
    np.testing.assert_allclose(q.log_prob(value.astype(np.float32)), law.logpdf(value), rtol=1e-4)
    np.testing.assert_allclose(q.entropy(), law.entropy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(q.variance(), std**2, rtol=1e-5)


def test_shapes_and_broadcasting():
    q = gaussian(np.zeros([4, 1]), np.zeros([3]))
    assert q.batch_shape == [4, 3] and q.event_shape == []
    np.testing.assert_array_equal(q.batch_shape_tensor(), [4, 3])
    for value in (q.mean(), q.stddev(), q.variance(), q.entropy(), q.log_prob(tf.zeros([4, 3]))):
        assert value.shape == [4, 3]
    assert q.sample(5, seed=SEED).shape == [5, 4, 3]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_parameters_of_any_float_type_become_float32(dtype):
    q = DiagonalGaussian(tf.zeros([2], dtype), tf.zeros([2], dtype))
    assert q.dtype == tf.float32 and q.mean().dtype == tf.float32
    assert tfd.kl_divergence(q, q).dtype == tf.float32


def test_analytic_kl_is_the_monte_carlo_mean_within_4_standard_errors():
    q, p = random_gaussian(0, (50,), 0.5), random_gaussian(1, (50,), 0.5)
    samples = q.sample(100_000, seed=SEED)
    terms = (q.log_prob(samples) - p.log_prob(samples)).numpy().astype(float)
    standard_error = terms.std(axis=0) / np.sqrt(len(terms))
    assert np.all(np.abs(terms.mean(axis=0) - tfd.kl_divergence(q, p)) < 4.0 * standard_error)


def test_kl_is_that_of_tfp_normals():
    q, p = random_gaussian(0), random_gaussian(1)
    normals = [
        tfd.Normal(tf.cast(d.mean(), "float64"), tf.cast(d.stddev(), "float64")) for d in (q, p)
    ]
    np.testing.assert_allclose(tfd.kl_divergence(q, p), tfd.kl_divergence(*normals), rtol=2e-5)
    np.testing.assert_array_equal(q.kl_divergence(p), tfd.kl_divergence(q, p))


def test_kl_to_itself_is_exactly_zero_with_zero_gradient():
    q = random_gaussian(0, (1000,), 5.0)
    mean, log_std = tf.Variable(q.loc), tf.Variable(q.log_std)
    with tf.GradientTape() as tape:
        kl = tfd.kl_divergence(DiagonalGaussian(mean, log_std), q)
    np.testing.assert_array_equal(kl, np.zeros(1000))
    for gradient in tape.gradient(kl, [mean, log_std]):
        np.testing.assert_array_equal(gradient, np.zeros(1000))


@pytest.mark.parametrize("spread", [1e-8, 1e-6, 1e-4, 1e-2, 1.0, 10.0])
def test_kl_is_nonnegative_and_finite(spread):
    base = random_gaussian(0, (5000,))
    rng = np.random.default_rng(2)
    q = DiagonalGaussian(
        base.loc, base.log_std + tf.constant(rng.normal(size=5000) * spread, "float32")
    )
    kl = tfd.kl_divergence(q, base).numpy()
    assert np.all(kl >= 0.0) and np.all(np.isfinite(kl))


def test_kl_of_close_gaussians_keeps_its_digits():
    # KL = d^2 + 2 d^3 / 3 + ... for log standard deviations that differ by d.
    ratio = np.float32(2.0**-10)
    kl = tfd.kl_divergence(gaussian([0.3], [ratio]), gaussian([0.3], [0.0])).numpy()[0]
    assert kl == pytest.approx(0.5 * np.expm1(2.0 * float(ratio)) - float(ratio), rel=1e-3)


def test_kl_gradient_is_the_closed_form():
    q, p = random_gaussian(4, (100,)), random_gaussian(5, (100,))
    parameters = [tf.Variable(x) for x in (q.loc, q.log_std, p.loc, p.log_std)]
    with tf.GradientTape() as tape:
        kl = tfd.kl_divergence(DiagonalGaussian(*parameters[:2]), DiagonalGaussian(*parameters[2:]))
    mean_q, log_std_q, mean_p, log_std_p = (x.numpy().astype(float) for x in parameters)
    ratio = np.exp(2.0 * (log_std_q - log_std_p))
    shift, precision = mean_q - mean_p, np.exp(-2.0 * log_std_p)
    expected = [
        shift * precision,
        ratio - 1.0,
        -shift * precision,
        1.0 - ratio - shift**2 * precision,
    ]
    for gradient, closed_form in zip(tape.gradient(kl, parameters), expected, strict=True):
        np.testing.assert_allclose(gradient, closed_form, rtol=1e-4, atol=1e-4)


def test_temperature_multiplies_the_standard_deviation():
    q = random_gaussian(0, (3,))
    noise = tf.random.stateless_normal([7, 3], [1, 2])
    np.testing.assert_array_equal(q.from_noise(noise, 0.0), tf.broadcast_to(q.mean(), noise.shape))
    np.testing.assert_array_equal(q.from_noise(noise), q.from_noise(noise, 1.0))
    for temperature in (1.0, 0.7, tf.constant([1.0, 0.5, 2.0])):
        expected = q.mean() + temperature * q.stddev() * noise
        np.testing.assert_allclose(q.from_noise(noise, temperature), expected, rtol=1e-5, atol=1e-6)


def test_samples_are_reproducible_and_follow_the_law():
    q = random_gaussian(0, (4,))
    samples = q.sample(50_000, seed=SEED).numpy()
    np.testing.assert_array_equal(samples, q.sample(50_000, seed=SEED))
    for column, mean, std in zip(samples.T, q.mean().numpy(), q.stddev().numpy(), strict=True):
        assert scipy.stats.kstest((column - mean) / std, "norm").pvalue > 1e-4


def chain(mean, log_std, noise):
    """Rate and latent of a few steps that build distributions inside a loop."""

    def body(i, latent, rate):
        q = DiagonalGaussian(mean + 0.1 * latent, log_std)
        p = DiagonalGaussian(latent, 0.5 * log_std)
        return i + 1, q.from_noise(noise, 0.8), rate + tfd.kl_divergence(q, p)

    start = (0, tf.zeros_like(mean), tf.zeros_like(mean))
    return tf.while_loop(lambda i, *_: i < 3, body, start, maximum_iterations=3)[1:]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_works_in_a_loop_a_function_and_xla(jit_compile):
    arguments = [
        tf.constant(np.random.default_rng(i).normal(size=[6]), "float32") for i in range(3)
    ]
    compiled = tf.function(chain, jit_compile=jit_compile)(*arguments)
    for value, expected in zip(compiled, chain(*arguments), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


def test_reads_keras_variables_of_a_stateless_scope():
    mean = keras.Variable(np.zeros(3, "float32"))
    with keras.StatelessScope(state_mapping=[(mean, tf.ones(3))]):
        q = DiagonalGaussian(mean, tf.zeros(3))
        np.testing.assert_array_equal(q.mean(), np.ones(3))
        np.testing.assert_allclose(tfd.kl_divergence(q, gaussian([0.0], [0.0])), np.full(3, 0.5))


def test_costs_few_graph_nodes():
    @tf.function
    def kl(a, b, c, d):
        return tfd.kl_divergence(DiagonalGaussian(a, b), DiagonalGaussian(c, d))

    graph = kl.get_concrete_function(*[tf.TensorSpec([None, 8, 8, 16])] * 4).graph
    assert len(graph.get_operations()) <= 25
