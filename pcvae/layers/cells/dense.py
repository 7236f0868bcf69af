"""Dense levels: hidden layers upwards and downwards, and what makes a posterior of them."""

from typing import Any

import keras
import tensorflow as tf

from pcvae.distributions.gaussian import DiagonalGaussian
from pcvae.layers.cells.cell import Site, standard_normal
from pcvae.layers.cells.ladder import product
from pcvae.layers.residual import dense

NEGATIVE_SLOPE = 0.1  # of the leaky rectifier; ours
# Of moving statistics: ours, so that those of a short run are not those of its first steps. They
# are averaged over steps once more, with the weights.
MOMENTUM = 0.9
LINEAR_BELOW = -15.0  # where log(softplus(x)) is x in float32


@keras.saving.register_keras_serializable(package="pcvae")
class HiddenLayers(keras.layers.Layer):
    """Two dense layers of one width, [batch, in_width] to [batch, width].

    Args:
        in_width: numbers that come in.
        width: of both layers.
        normalised: whether each is followed by a batch normalisation and a leaky rectifier
            (Sonderby et al. 2016), instead of tanh (Burda et al. 2015). In training what comes out
            for an example then depends on its batch.
    """

    def __init__(self, in_width: int, width: int, normalised: bool = False, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.in_width, self.width, self.normalised = in_width, width, normalised

    def build(self, input_shape: Any = None) -> None:
        activation, policy = None if self.normalised else "tanh", self.dtype_policy
        widths = (self.in_width, self.width)
        # A batch normalisation takes a bias away: its gradient would be rounding alone.
        use_bias = not self.normalised
        self.layers = [
            dense(self.width, in_width, policy, f"dense_{number}", activation, use_bias)
            for number, in_width in enumerate(widths, 1)
        ]
        self.normalisations = []
        for number in (1, 2) if self.normalised else ():
            layer = keras.layers.BatchNormalization(
                momentum=MOMENTUM, dtype=policy, name=f"normalisation_{number}"
            )
            layer.build((None, self.width))
            self.normalisations.append(layer)
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if self.normalised:
                x = tf.nn.leaky_relu(self.normalisations[number](x), NEGATIVE_SLOPE)
        return x

    def get_config(self) -> dict:
        own = {"in_width": self.in_width, "width": self.width, "normalised": self.normalised}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="pcvae")
class DenseCell(keras.layers.Layer):
    """A latent [latent_width] between hidden layers of its own, upwards and downwards.

    Downwards, p(z_i | z_<i) is a Gaussian given what the level above has made of its latent alone;
    that of the first level is the standard normal. Upwards, `recognised` reads a Gaussian of the
    latent from what came up, and `posterior` returns the one of this level: here as it is.

    Args:
        level: its number, from 0.
        latent_width: numbers of the latent.
        width: of the hidden layers, two upwards and two downwards; see `HiddenLayers`.
        width_above: of those of the level above; any for the first level.
        seen_width: numbers that come up from below.
        normalised: see `HiddenLayers`.
    """

    def __init__(
        self,
        level: int,
        latent_width: int,
        width: int,
        width_above: int,
        seen_width: int,
        normalised: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.level = level
        self.latent_width = latent_width
        self.width = width
        self.width_above = width_above
        self.seen_width = seen_width
        self.normalised = normalised

    def build(self, input_shape: Any = None) -> None:
        policy, parameters = self.dtype_policy, 2 * self.latent_width
        how = {"normalised": self.normalised, "dtype": policy}
        self.upwards = HiddenLayers(self.seen_width, self.width, name="upwards", **how)
        self.downwards = HiddenLayers(self.latent_width, self.width, name="downwards", **how)
        self.upwards.build()
        self.downwards.build()
        self.to_posterior = dense(parameters, self.width, policy, "posterior")
        self.to_prior = None
        if self.level > 0:
            self.to_prior = dense(parameters, self.width_above, policy, "prior")
        super().build(input_shape)

    def recognised(self, hidden: tf.Tensor) -> DiagonalGaussian:
        """Returns the Gaussian of the latent that [batch, width] from `upwards` stands for."""
        return self.gaussian(self.to_posterior(hidden))

    def prior(self, h: tf.Tensor, site: Site) -> tuple[DiagonalGaussian, tf.Tensor]:
        """Returns p(z_i | z_<i), and h [batch, width_above] as it is."""
        if self.to_prior is None:
            return standard_normal(site), h
        return self.gaussian(self.to_prior(h)), h

    def gaussian(self, parameters: tf.Tensor) -> DiagonalGaussian:
        """Returns the Gaussian of means and logarithms of deviations, one after the other."""
        return DiagonalGaussian(*tf.split(parameters, 2, axis=-1))

    def posterior(
        self, h: tf.Tensor, prior: DiagonalGaussian, evidence: Any, site: Site
    ) -> DiagonalGaussian:
        """Returns the Gaussian of this level among those that were found on the way upwards."""
        return evidence[self.level]

    def absorb(self, h: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """Returns what the latent is made into, [batch, width]: nothing of h is kept."""
        return self.downwards(latent)

    def get_config(self) -> dict:
        names = ("level", "latent_width", "width", "width_above", "seen_width", "normalised")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="pcvae")
class DenseLadderCell(DenseCell):
    """A `DenseCell` whose posterior is the prior times what the image says; see `LadderCell`.

    Its layers give means and, through softplus, variances, as published.
    """

    def gaussian(self, parameters: tf.Tensor) -> DiagonalGaussian:
        """Returns the Gaussian of means and variances before their softplus."""
        mean, x = tf.split(tf.cast(parameters, tf.float32), 2, axis=-1)
        log_variance = tf.math.log(tf.nn.softplus(tf.maximum(x, LINEAR_BELOW)))
        return DiagonalGaussian(mean, 0.5 * tf.where(x < LINEAR_BELOW, x, log_variance))

    def posterior(
        self, h: tf.Tensor, prior: DiagonalGaussian, evidence: Any, site: Site
    ) -> DiagonalGaussian:
        """Returns the product of the prior and the Gaussian that was found on the way upwards."""
        return product(evidence[self.level], prior)
