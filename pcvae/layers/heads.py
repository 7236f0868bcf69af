"""Output heads: from the decoder's features to a distribution over images, behind one interface."""

from typing import Any

import keras
import tensorflow as tf

from pcvae import units
from pcvae.checks import check_choice, check_integer
from pcvae.distributions import logistic_mixture
from pcvae.distributions.bernoulli import bernoulli
from pcvae.errors import UserError
from pcvae.layers.gaussian_heads import GaussianFloorHead, GaussianHead
from pcvae.layers.head import COMPONENT_SITE, VALUE_SITE, Head


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
    has_mean_params = True

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
    "gaussian_floor": GaussianFloorHead,
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
