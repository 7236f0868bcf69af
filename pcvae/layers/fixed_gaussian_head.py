"""A head without weights: a Gaussian of one known deviation about the features."""

from typing import Any

import keras
import tensorflow as tf

from pcvae.distributions.discretized_gaussian import DiscretizedGaussian
from pcvae.layers.gaussian_heads import GaussianHead


@keras.saving.register_keras_serializable(package="pcvae")
class FixedGaussianHead(GaussianHead):
    """The features are the mean image on [-1, 1]; the Gaussian is discretised to the levels.

    Args:
        log_std: natural logarithm of the standard deviation of every pixel.
        channels: of the images.
        **kwargs: the other arguments of `Head`.
    """

    def __init__(self, log_std: float, channels: int = 3, **kwargs: Any) -> None:
        super().__init__(channels, **{**kwargs, "has_projection": False})
        self.log_std = log_std

    @property
    def num_params(self) -> int:
        """How many parameters a pixel has: its means."""
        return self.channels

    def get_config(self) -> dict:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "log_std": self.log_std}

    def _distribution(self, params):
        return DiscretizedGaussian(params, tf.constant(self.log_std), self.bit_depth)
