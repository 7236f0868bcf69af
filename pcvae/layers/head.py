"""What every output head is: parameters of each pixel from features, and what they stand for."""

from typing import Any

import keras
import tensorflow as tf

from pcvae import units
from pcvae.checks import check_integer
from pcvae.distributions.noise import Noise
from pcvae.errors import UserError
from pcvae.layers.residual import convolution

MAX_CHANNELS = 4
MAX_BIT_DEPTH = 8

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
    # Whether the first parameters of a pixel are the means of its channels, on [-1, 1].
    has_mean_params = False
    # Whether training minimises something else than the likelihood: `surrogate_nats`.
    has_surrogate = False

    def __init__(
        self,
        channels: int = 3,
        bit_depth: int = 8,
        has_projection: bool = True,
        is_residual: bool = False,
        **kwargs: Any,
    ) -> None:
        """Builds the head.

        Args:
            channels: int, channels of the images, 1 to 4.
            bit_depth: int, bits of a pixel that are modelled, 1 to 8.
            has_projection: whether a 1x1 convolution makes the parameters of the features. Without
                it the features are the parameters, and the head has no weights.
            is_residual: whether the last channels of the features are an image on [-1, 1], and the
                means what the other features make plus this image.
            **kwargs: arguments of a Keras layer.

        Raises:
            UserError: ``channels`` or ``bit_depth`` is out of range, or the head has no means to
                add an image to.
        """
        super().__init__(autocast=False, **kwargs)
        check_integer("channels", channels, 1, MAX_CHANNELS)
        check_integer("bit_depth", bit_depth, 1, MAX_BIT_DEPTH)
        if is_residual and not self.has_mean_params:
            raise UserError(
                f"residual: expected a head with means as parameters, got a {type(self).__name__}: "
                "take the head gaussian, gaussian_floor or linear"
            )
        self.channels = channels
        self.bit_depth = bit_depth
        self.has_projection = has_projection
        self.is_residual = is_residual

    @property
    def num_params(self) -> int:
        """How many parameters a pixel has."""
        raise NotImplementedError

    def build(self, input_shape: Any) -> None:
        """Builds the projection for features [batch, height, width, channels of the decoder]."""
        count = input_shape[-1] - (self.channels if self.is_residual else 0)
        if self.has_projection:
            self.projection = convolution(self.num_params, 1, count, "float32", "projection")
        elif count != self.num_params:
            raise ValueError(f"expected {self.num_params} features, got {count}")

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Computes the parameters of each pixel.

        Args:
            features: [batch, height, width, channels of the decoder], behind which a residual head
                finds its image.

        Returns:
            float32 [batch, height, width, num_params].
        """
        image = None
        if self.is_residual:
            features, image = features[..., : -self.channels], features[..., -self.channels :]
        params = self.projection(features) if self.has_projection else features
        params = tf.cast(params, tf.float32)
        if image is None:
            return params
        others = self.num_params - self.channels
        return params + tf.pad(image, [[0, 0], [0, 0], [0, 0], [0, others]])

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
        names = ("channels", "bit_depth", "has_projection", "is_residual")
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
