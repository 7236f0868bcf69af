"""A model whose rate-distortion function is known: a Gaussian source and linear maps.

By reverse water-filling (Cover and Thomas, theorem 10.3.3) component i of variance v_i gets the
distortion min(theta, v_i) and the rate ln(v_i / D_i) / 2. A linear encoder with Gaussian noise and
a linear decoder reach it.
"""

import functools

import keras
import numpy as np
import tensorflow as tf

from pcvae import data, training, units
from pcvae.distributions.gaussian import DiagonalGaussian, rate_nats
from pcvae.outputs import VDVAEOutput
from pcvae.tracing import graphs_as_traced

SHAPE = (2, 2, 1)
DIMS = 4
STANDARD_DEVIATIONS = (0.32, 0.16, 0.08, 0.04)
NUM_IMAGES = 20_000
SCALE = 0.1  # what the model divides by, so that its weights are of order one


@functools.cache
def gaussian_images():
    """Images of a Gaussian source whose components are rotated against the pixels."""
    generator = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(generator.normal(size=(DIMS, DIMS)))
    signed = generator.normal(size=(NUM_IMAGES, DIMS)) * STANDARD_DEVIATIONS @ rotation.T
    return units.levels_from_signed(signed, 8).numpy().astype(np.uint8).reshape(-1, *SHAPE)


@functools.cache
def covariance():
    """Covariance of the images on [-1, 1], rounding to pixel levels included."""
    signed = units.signed_from_levels(gaussian_images(), 8).numpy().reshape(-1, DIMS)
    return np.cov(signed.astype(np.float64).T)


def curve_point(theta):
    """Returns (nats per dimension, mean squared error) of the optimum at a water level."""
    variances = np.linalg.eigvalsh(covariance())
    distortions = np.minimum(theta, variances)
    return np.mean(0.5 * np.log(variances / distortions)), np.mean(distortions)


def optimal_mse(rate_nats_per_dim):
    """Returns the distortion-rate function by interpolation along the water level."""
    points = [curve_point(theta) for theta in np.geomspace(1e-5, 1.0, 4000)]
    rates, distortions = map(np.array, zip(*points, strict=True))
    return np.exp(np.interp(-rate_nats_per_dim, -rates, np.log(distortions)))


class LinearGaussianModel(keras.Model):
    """q(z|x) = N(Wx, diag(s^2)), p(z) = N(0, I), d(z) = Vz."""

    num_levels = 1
    image_shape = SHAPE

    def __init__(self, seed=0):
        super().__init__()
        generator = np.random.default_rng(seed)

        def weight(name, value):
            return self.add_weight(
                shape=value.shape, name=name, initializer=lambda *_, **__: tf.constant(value)
            )

        start = 0.5 * generator.normal(size=(2, DIMS, DIMS)).astype(np.float32)
        self.encoder = weight("encoder", start[0])
        self.decoder = weight("decoder", start[1])
        self.log_std = weight("log_std", np.zeros(DIMS, np.float32))
        self.built = True

    @property
    def named_weights(self):
        return {weight.name: weight for weight in self.weights}

    trained_weights = named_weights
    statistics = {}

    def call(self, images, noise):
        x = tf.reshape(units.signed_from_levels(images, 8), [-1, DIMS]) / SCALE
        mean = x @ tf.convert_to_tensor(self.encoder)
        shape = (tf.shape(mean)[0], DIMS)
        log_std = tf.broadcast_to(tf.convert_to_tensor(self.log_std), shape)
        posterior = DiagonalGaussian(mean, log_std)
        prior = DiagonalGaussian(tf.zeros(shape), tf.zeros(shape))
        z = posterior.from_noise(noise.normal(0, shape))
        x = z @ tf.convert_to_tensor(self.decoder)
        reconstruction = tf.reshape(SCALE * x, [-1, *SHAPE])
        rate = tf.reshape(rate_nats(posterior, prior), [-1, 1])
        return VDVAEOutput(reconstruction, reconstruction, (), rate, None)

    def rate_and_mse(self):
        """Returns the expected rate (nats per dimension) and distortion in closed form."""
        encoder, decoder = (
            np.asarray(tf.convert_to_tensor(w), np.float64) for w in (self.encoder, self.decoder)
        )
        log_std = np.asarray(tf.convert_to_tensor(self.log_std), np.float64)
        variances = np.exp(2.0 * log_std)
        source = covariance() / SCALE**2
        second_moments = variances + np.diag(encoder.T @ source @ encoder)
        rate = 0.5 * np.sum(second_moments - 1.0 - 2.0 * log_std)
        error = np.eye(DIMS) - encoder @ decoder
        noise = (decoder.T * variances) @ decoder
        mse = SCALE**2 * (np.trace(error.T @ source @ error) + np.trace(noise))
        return rate / DIMS, mse / DIMS


def make_trainer(objective, multiplier, num_steps, seed=0, **arguments):
    """Makes a trainer of the linear model, in the current strategy."""
    optimizer = training.AdamW(
        learning_rate=0.02,
        beta_2=0.99,
        weight_decay=0.0,
        warmup_steps=0,
        decay="cosine",
        decay_steps=num_steps,
    )
    update = training.GradientUpdate(optimizer, ema_decay=0.99)
    models = LinearGaussianModel(seed), LinearGaussianModel(seed)
    return training.Trainer(*models, objective, update, seed, multiplier, **arguments)


def train(trainer, num_steps, batch_size=256, strategy=None):
    """Takes steps; returns the trainer and the last results."""
    strategy = strategy or tf.distribute.get_strategy()
    first_step = trainer.steps_taken
    # Inside a graph only TensorFlow's own iterator goes on.
    batches = strategy.distribute_datasets_from_function(
        lambda context: data.training_batches(
            gaussian_images(), batch_size, 0, first_step=first_step, input_context=context
        )
    )

    @tf.function
    def all_but_one(batches):
        """A step takes less time than to start it from Python."""
        for _ in tf.range(num_steps - 1):
            trainer.step(next(batches))

    batches = iter(batches)
    with graphs_as_traced():  # as the trainer runs a step by itself
        all_but_one(batches)
    return trainer.step(next(batches))
