"""Output heads: from the decoder's features to a distribution over images, behind one interface."""

from typing import Any

import keras
import tensorflow as tf

from pcvae import units
from pcvae.checks import check_choice, check_integer
from pcvae.distributions import logistic_mixture
from pcvae.distributions.bernoulli import bernoulli
from pcvae.distributions.discretized_gaussian import DiscretizedGaussian
from pcvae.distributions.noise import Noise
from pcvae.errors import UserError
from pcvae.layers.residual import convolution

MAX_CHANNELS = 4
MAX_BIT_DEPTH = 8
MIN_LOG_STD = -7.0

# Sites of the noise that sampling draws, far from the indices of levels.
COMPONENT_SITE = 2**30
VALUE_SITE = 2**30 + 1


class Head(keras.layers.Layer):
    """Maps features to the parameters of a distribution over each pixel, and speaks for it.

    ``call`` is a 1x1 convolution, in float32 under any dtype policy, unless the features are the
    parameters already. The other methods take its result. Images are uint8 in [0, 255] for every
    bit depth; the head keeps their top bits.
    """

    has_likelihood = True

    def __init__(
        self, channels: int = 3, bit_depth: int = 8, has_projection: bool = True, **kwargs: Any
    ) -> None:
        """Builds the head.

        Args:
            channels: int, channels of the images, 1 to 4.
            bit_depth: int, bits of a pixel that are modelled, 1 to 8.
            has_projection: whether a 1x1 convolution makes the parameters of the features. Without
                it the features are the parameters, and the head has no weights.
            **kwargs: arguments of a Keras layer.

        Raises:
            UserError: ``channels`` or ``bit_depth`` is out of range.
        """
        super().__init__(autocast=False, **kwargs)
        check_integer("channels", channels, 1, MAX_CHANNELS)
        check_integer("bit_depth", bit_depth, 1, MAX_BIT_DEPTH)
        self.channels = channels
        self.bit_depth = bit_depth
        self.has_projection = has_projection

    @property
    def num_params(self) -> int:
        """How many parameters a pixel has."""
        raise NotImplementedError

    def build(self, input_shape: Any) -> None:
        """Builds the projection for features [batch, height, width, channels of the decoder]."""
        if self.has_projection:
            self.projection = convolution(
                self.num_params, 1, input_shape[-1], "float32", "projection"
            )
        elif input_shape[-1] != self.num_params:
            raise ValueError(f"expected {self.num_params} features, got {input_shape[-1]}")

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Computes the parameters of each pixel.

        Args:
            features: [batch, height, width, channels of the decoder].

        Returns:
            float32 [batch, height, width, num_params].
        """
        return self.projection(features) if self.has_projection else tf.cast(features, tf.float32)

    def negative_log_likelihood(self, params: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Computes -log p(images), the sum over pixels and channels.

        Args:
            params: [batch, height, width, num_params].
            images: uint8 [batch, height, width, channels].

        Returns:
            float32 [batch] nats.

        Raises:
            ValueError: the head has no likelihood.
        """
        levels = units.levels_from_images(images, self.bit_depth)
        return -units.sum_per_example(self._distribution(params).log_prob(levels))

    def mean(self, params: tf.Tensor) -> tf.Tensor:
        """Returns the mean image, float32 [batch, height, width, channels] in [-1, 1]."""
        levels = self._distribution(params).mean()
        return tf.clip_by_value(units.signed_from_levels(levels, self.bit_depth), -1.0, 1.0)

    def sample(self, params: tf.Tensor, noise: Noise) -> tf.Tensor:
        """Draws images.

        Args:
            params: [batch, height, width, num_params].
            noise: SeededNoise of the examples.

        Returns:
            uint8 [batch, height, width, channels] in [0, 255].
        """
        return units.images_from_levels(self._sample_levels(params, noise), self.bit_depth)

    def get_config(self) -> dict:
        """Returns the arguments of the constructor."""
        names = ("channels", "bit_depth", "has_projection")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _distribution(self, params):
        """Returns the mass function over levels that the parameters stand for."""
        raise NotImplementedError

    def _sample_levels(self, params, noise):
        """Draws levels, integers [batch, height, width, channels]."""
        raise NotImplementedError

    def _uniform(self, params, noise, site, channels):
        """Draws uniform noise [batch, height, width, channels]."""
        batch = tf.shape(params)[0] if params.shape[0] is None else params.shape[0]
        return noise.uniform(site, [batch, *params.shape[1:-1], channels])


@keras.saving.register_keras_serializable(package="pcvae")
class LogisticMixtureHead(Head):
    """A discretized mixture of logistics for each pixel, its channels coupled (PixelCNN++).

    The order of the parameters is that of ``logistic_mixture.unpack``.
    """

    def __init__(
        self, channels: int = 3, bit_depth: int = 8, num_mixtures: int = 10, **kwargs: Any
    ) -> None:
        """Builds the head with ``num_mixtures`` components; the rest as in ``Head``."""
        super().__init__(channels, bit_depth, **kwargs)
        check_integer("num_mixtures", num_mixtures, 1)
        self.num_mixtures = num_mixtures

    @property
    def num_params(self) -> int:
        """How many parameters a pixel has."""
        return logistic_mixture.num_params(self.channels, self.num_mixtures)

    def get_config(self) -> dict:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "num_mixtures": self.num_mixtures}

    def _distribution(self, params):
        parts = logistic_mixture.unpack(params, self.channels, self.num_mixtures)
        return logistic_mixture.DiscretizedLogisticMixture(*parts, bit_depth=self.bit_depth)

    def _sample_levels(self, params, noise):
        return logistic_mixture.levels_from_uniforms(
            params,
            self.channels,
            self.num_mixtures,
            self.bit_depth,
            self._uniform(params, noise, COMPONENT_SITE, 1),
            self._uniform(params, noise, VALUE_SITE, self.channels),
        )


@keras.saving.register_keras_serializable(package="pcvae")
class LinearHead(Head):
    """The parameters are the image itself, on [-1, 1]: a decoder for the mean squared error."""

    has_likelihood = False

    @property
    def num_params(self) -> int:
        """How many parameters a pixel has."""
        return self.channels

    def negative_log_likelihood(self, params: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Raises ValueError: a linear head has no likelihood."""
        raise ValueError(
            "expected a head with a likelihood, got a linear head; minimise the mean squared "
            "error of its mean, or use the head logistic_mixture, gaussian or bernoulli"
        )

    def mean(self, params: tf.Tensor) -> tf.Tensor:
        """Returns the image, float32 [batch, height, width, channels], clipped to [-1, 1].

        The gradient passes the clipping as if there were none. Otherwise a pixel that has left
        [-1, 1] would never be drawn back by a squared error.
        """
        params = tf.cast(params, tf.float32)
        return tf.grad_pass_through(lambda x: tf.clip_by_value(x, -1.0, 1.0))(params)

    def _sample_levels(self, params, noise):
        return units.levels_from_signed(params, self.bit_depth)


@keras.saving.register_keras_serializable(package="pcvae")
class GaussianHead(Head):
    """An independent Gaussian for each channel of a pixel, discretised to the levels.

    The parameters are C means and C log standard deviations. The latter pass through
    ``softplus(x + 7) - 7``, which is x but for a soft floor at -7.
    """

    @property
    def num_params(self) -> int:
        """How many parameters a pixel has."""
        return 2 * self.channels

    def _distribution(self, params):
        mean, log_std = tf.split(tf.cast(params, tf.float32), 2, axis=-1)
        log_std = tf.nn.softplus(log_std - MIN_LOG_STD) + MIN_LOG_STD
        return DiscretizedGaussian(mean, log_std, self.bit_depth)

    def _sample_levels(self, params, noise):
        uniform = self._uniform(params, noise, VALUE_SITE, self.channels)
        return self._distribution(params).sample_from_uniforms(uniform)


@keras.saving.register_keras_serializable(package="pcvae")
class BernoulliHead(Head):
    """An independent Bernoulli for each channel of a pixel, of bit depth 1, given by its logit."""

    def __init__(self, channels: int = 3, bit_depth: int = 1, **kwargs: Any) -> None:
        """Builds the head as ``Head``; raises UserError for a bit depth other than 1."""
        if bit_depth != 1:
            raise UserError(
                f"expected bit_depth=1 for the head bernoulli, got {bit_depth!r}; "
                "set bit_depth to 1 or use another head"
            )
        super().__init__(channels, bit_depth, **kwargs)

    @property
    def num_params(self) -> int:
        """How many parameters a pixel has."""
        return self.channels

    def _distribution(self, params):
        return bernoulli(params)

    def _sample_levels(self, params, noise):
        uniform = self._uniform(params, noise, VALUE_SITE, self.channels)
        return tf.cast(uniform < tf.sigmoid(tf.cast(params, tf.float32)), tf.int32)


HEADS = {
    "logistic_mixture": LogisticMixtureHead,
    "linear": LinearHead,
    "gaussian": GaussianHead,
    "bernoulli": BernoulliHead,
}


def make_head(
    kind: str, channels: int = 3, bit_depth: int = 8, num_mixtures: int = 10, **kwargs: Any
) -> Head:
    """Builds a head by its name.

    Args:
        kind: a key of ``HEADS``.
        channels: int, channels of the images, 1 to 4.
        bit_depth: int, bits of a pixel that are modelled, 1 to 8.
        num_mixtures: int, components of ``logistic_mixture``; the other heads have none.
        **kwargs: arguments of a Keras layer, such as its name.

    Returns:
        A Head.

    Raises:
        UserError: the name is unknown or an argument is out of range.
    """
    check_choice("head", kind, HEADS)
    if HEADS[kind] is LogisticMixtureHead:
        kwargs["num_mixtures"] = num_mixtures
    return HEADS[kind](channels=channels, bit_depth=bit_depth, **kwargs)
