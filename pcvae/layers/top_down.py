"""One top-down level of the VDVAE (Child 2020, figure 3): prior, posterior, latent, features."""

import keras
import tensorflow as tf

from pcvae.distributions.gaussian import (
    DiagonalGaussian,
    pointwise_rate_nats,
    rate_map_nats,
    rate_nats,
)
from pcvae.layers.condition import Gate
from pcvae.layers.residual import BottleneckBlock, convolution, fan_in_uniform
from pcvae.outputs import LevelOutput

# Where the latent of a level comes from in an edit.
PRIOR, POSTERIOR, GIVEN = range(3)


@keras.saving.register_keras_serializable(package="pcvae")
class TopDownLevel(keras.layers.Layer):
    """A latent z_i with its prior p(z_i | z_<i) and posterior q(z_i | x, z_<i).

    The features h [batch, side, side, width] hold z_<i. The prior's network gives mean, log
    standard deviation and a residual; the posterior's sees the encoder's activations, too. The
    latent enters by a 1x1 convolution, then a residual block follows.

    Args:
        width: channels of features and activations.
        latent_width: channels of the latent.
        middle_width: channels of the blocks' bottleneck.
        kernel_size: side of the blocks' inner kernels.
        num_levels: number of levels of the decoder, whose residual branches start scaled
            by sqrt(1 / num_levels).
        gated: whether a condition enters by a `Gate`; see `enter`.
    """

    def __init__(
        self,
        width,
        latent_width,
        middle_width,
        kernel_size=3,
        num_levels=1,
        gated=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.width = width
        self.latent_width = latent_width
        self.middle_width = middle_width
        self.kernel_size = kernel_size
        self.num_levels = num_levels
        self.gated = gated

    def build(self, input_shape=None):
        width, latent, policy = self.width, self.latent_width, self.dtype_policy

        def block(name, in_width, out_width, residual=False, last_scale=1.0):
            layer = BottleneckBlock(
                in_width,
                self.middle_width,
                out_width,
                kernel_size=self.kernel_size,
                residual=residual,
                last_scale=last_scale,
                dtype=policy,
                name=name,
            )
            layer.build()
            return layer

        scale = 1.0 / self.num_levels
        self.posterior_block = block("posterior", 2 * width, 2 * latent)
        self.prior_block = block("prior", width, 2 * latent + width, last_scale=0.0)
        self.latent_projection = convolution(
            width, 1, latent, policy, "latent_projection", fan_in_uniform(scale)
        )
        self.residual_block = block("residual", width, width, residual=True, last_scale=scale)
        self.gate = _built_gate(self)
        super().build(input_shape)

    @property
    def convolutions(self):
        """The convolutions, and the gate if there is one, that hold all weights, by name."""
        blocks = _named_convolutions(
            posterior=self.posterior_block, prior=self.prior_block, residual=self.residual_block
        )
        return {**blocks, "latent_projection": self.latent_projection, **_named_gate(self.gate)}

    def enter(self, features, condition):
        """Returns the features with the condition, which prior and posterior then see alike.

        Args:
            features: [batch, side, side, width].
            condition: of the same shape or one that broadcasts with it.
        """
        return self.gate(features, condition)

    def prior(self, features):
        """Returns p(z_i | z_<i) and the features with the prior's residual added."""
        hidden = self.prior_block(features)
        mean, log_std, residual = tf.split(
            hidden, [self.latent_width, self.latent_width, self.width], axis=-1
        )
        return _gaussian(mean, log_std), features + residual

    def posterior(self, features, activations):
        """Returns q(z_i | x, z_<i)."""
        hidden = self.posterior_block(tf.concat([features, activations], axis=-1))
        mean, log_std = tf.split(hidden, 2, axis=-1)
        return _gaussian(mean, log_std)

    def absorb(self, features, latent):
        """Returns the features after the latent has entered."""
        features += self.latent_projection(tf.cast(latent, features.dtype))
        return self.residual_block(features)

    def infer(self, features, activations, noise, pointwise=False):
        """Draws z_i from the posterior.

        Args:
            features: [batch, side, side, width].
            activations: [batch, side, side, width], the encoder's.
            noise: [batch, side, side, latent_width], standard normal.
            pointwise: whether the rate is that of the latent that is drawn.

        Returns:
            A `LevelOutput` with the rate KL(q || p) in nats, or log q(z_i) - log p(z_i).
        """
        posterior = self.posterior(features, activations)
        prior, features = self.prior(features)
        latent = posterior.from_noise(noise)
        rate = (
            pointwise_rate_nats(posterior, prior, latent)
            if pointwise
            else rate_nats(posterior, prior)
        )
        return LevelOutput(self.absorb(features, latent), latent, rate)

    def generate(self, features, noise, temperature):
        """Draws z_i from the prior, its standard deviation times the temperature; rate zero."""
        prior, features = self.prior(features)
        latent = prior.from_noise(noise, temperature)
        return LevelOutput(self.absorb(features, latent), latent, _zero_rate(latent))

    def infer_or_generate(self, features, activations, noise, temperature, from_posterior):
        """Draws z_i from the posterior or the prior, as a boolean scalar tensor says."""
        posterior = self.posterior(features, activations)
        prior, features = self.prior(features)
        latent = tf.where(
            from_posterior, posterior.from_noise(noise), prior.from_noise(noise, temperature)
        )
        rate = tf.where(from_posterior, rate_nats(posterior, prior), _zero_rate(latent))
        return LevelOutput(self.absorb(features, latent), latent, rate)

    def decode(self, features, latent, given, noise, temperature):
        """Takes z_i as given, or draws it from the prior, as a boolean scalar tensor says."""
        prior, features = self.prior(features)
        latent = tf.where(given, latent, prior.from_noise(noise, temperature))
        return LevelOutput(self.absorb(features, latent), latent, _zero_rate(latent))

    def edit(self, features, activations, latent, noise, temperature, source):
        """Takes z_i as given, from the posterior or from the prior, as an integer scalar says."""
        posterior = self.posterior(features, activations)
        prior, features = self.prior(features)
        drawn = tf.where(
            source == POSTERIOR, posterior.from_noise(noise), prior.from_noise(noise, temperature)
        )
        latent = tf.where(source == GIVEN, latent, drawn)
        return LevelOutput(self.absorb(features, latent), latent, _zero_rate(latent))

    def rate_map(self, features, activations, latent):
        """Takes z_i as given, and gives for the latent the rate of each of its numbers, nats."""
        posterior = self.posterior(features, activations)
        prior, features = self.prior(features)
        rates = rate_map_nats(posterior, prior)
        return LevelOutput(self.absorb(features, latent), rates, rate_nats(posterior, prior))

    def noise_of(self, features, latent):
        """Gives for the latent the noise that the prior would make it of, as the latent."""
        prior, features = self.prior(features)
        return LevelOutput(
            self.absorb(features, latent), prior.noise_of(latent), _zero_rate(latent)
        )

    def call(self, features, activations, noise):
        return tuple(self.infer(features, activations, noise))

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "latent_width": self.latent_width,
            "middle_width": self.middle_width,
            "kernel_size": self.kernel_size,
            "num_levels": self.num_levels,
            "gated": self.gated,
        }


@keras.saving.register_keras_serializable(package="pcvae")
class DeterministicLevel(keras.layers.Layer):
    """A top-down level without a latent: the prior's residual, then the residual block.

    Depth and receptive field are those of a `TopDownLevel` (ours: the paper does not say what
    stands above the last latent of a first stage).

    Args:
        width: channels of the features.
        middle_width: channels of the blocks' bottleneck.
        kernel_size: side of the blocks' inner kernels.
        num_levels: number of levels of the decoder; see `TopDownLevel`.
        gated: whether a condition enters by a `Gate`; see `TopDownLevel.enter`.
    """

    def __init__(self, width, middle_width, kernel_size=3, num_levels=1, gated=False, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.middle_width = middle_width
        self.kernel_size = kernel_size
        self.num_levels = num_levels
        self.gated = gated

    def build(self, input_shape=None):
        self.prior_block, self.residual_block = (
            BottleneckBlock(
                self.width,
                self.middle_width,
                self.width,
                kernel_size=self.kernel_size,
                residual=True,
                last_scale=last_scale,
                dtype=self.dtype_policy,
                name=name,
            )
            for name, last_scale in (("prior", 0.0), ("residual", 1.0 / self.num_levels))
        )
        self.prior_block.build()
        self.residual_block.build()
        self.gate = _built_gate(self)
        super().build(input_shape)

    @property
    def convolutions(self):
        """The convolutions, and the gate if there is one, that hold all weights, by name."""
        blocks = _named_convolutions(prior=self.prior_block, residual=self.residual_block)
        return {**blocks, **_named_gate(self.gate)}

    def enter(self, features, condition):
        """Returns the features with the condition; see `TopDownLevel.enter`."""
        return self.gate(features, condition)

    def call(self, features):
        return self.residual_block(self.prior_block(features))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "middle_width": self.middle_width,
            "kernel_size": self.kernel_size,
            "num_levels": self.num_levels,
            "gated": self.gated,
        }


def _built_gate(level):
    """Returns the gate of a level, or None."""
    if not level.gated:
        return None
    gate = Gate(level.width, dtype=level.dtype_policy, name="condition")
    gate.build()
    return gate


def _named_gate(gate):
    return {} if gate is None else {"condition_gate": gate}


def _named_convolutions(**blocks):
    return {
        f"{name}_{inner}": convolve
        for name, block in blocks.items()
        for inner, convolve in block.convolutions.items()
    }


def _gaussian(mean, log_std):
    # Rates are sums over many dimensions: float32 whatever the compute dtype.
    return DiagonalGaussian(tf.cast(mean, tf.float32), tf.cast(log_std, tf.float32))


def _zero_rate(latent):
    return tf.zeros_like(latent[:, 0, 0, 0])
