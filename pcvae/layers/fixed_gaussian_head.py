"""A head without weights: a Gaussian of one known deviation about the features."""

from typing import Any

import keras
import tensorflow as tf

from pcvae.distributions.discretized_gaussian import DiscretizedGaussian
from pcvae.layers.heads import VALUE_SITE, Head


@keras.saving.register_keras_serializable(package="pcvae")
class FixedGaussianHead(Head):
    """The features are the mean image on [-1, 1]; the Gaussian is discretised to the levels.

    Args:
        log_std: natural logarithm of the standard deviation of every pixel.
        channels: of the images.
        **kwargs: the other arguments of `Head`.
    """

    def __init__(self, log_std: float, channels: int = 3, **kwargs: Any) -> None:
        super().__init__(channels, **kwargs)
        self.log_std = log_std

    @property
    def num_params(self) -> int:
        """How many parameters a pixel has: its means."""
        return self.channels

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the features, [batch, height, width, channels], as float32."""
        return tf.cast(features, tf.float32)

    def get_config(self) -> dict:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "log_std": self.log_std}

    def _distribution(self, params):
        return DiscretizedGaussian(params, tf.constant(self.log_std), self.bit_depth)

    def _sample_levels(self, params, noise):
        uniform = self._uniform(params, noise, VALUE_SITE, self.channels)
        return self._distribution(params).sample_from_uniforms(uniform)
