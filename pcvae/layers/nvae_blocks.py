"""The residual cells of the NVAE (Vahdat and Kautz 2020, arXiv 2007.03898, figure 3)."""

from collections.abc import Callable
from typing import Any, Self

import keras
import tensorflow as tf

from pcvae.layers.residual import add_branch, convolution, dense, fan_in_uniform, swish

# What a branch is multiplied by before it is added to the features (as published).
RESIDUAL_WEIGHT = 0.1
# Of the width, inside a decoder's cell (as published).
EXPANSION = 6
# Of the moving statistics: lower than usual, so that they catch up with the batches, as the paper
# asks for. The numbers are ours.
MOMENTUM = 0.95
EPSILON = 1e-5
# Least channels, and parts of the width, between squeeze and excitation (ours).
SQUEEZED_WIDTH, SQUEEZE = 4, 16


@keras.saving.register_keras_serializable(package="pcvae")
class SqueezeAndExcitation(keras.layers.Layer):
    """Multiplies each channel by a number in (0, 1), which the means of all channels say.

    After Hu et al. 2018, arXiv 1709.01507.

    Maps [batch, side, side, width] to the same shape.

    Args:
        width: channels.
    """

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width

    def build(self, input_shape: Any = None) -> None:
        squeezed, dtype = max(SQUEEZED_WIDTH, self.width // SQUEEZE), self.dtype_policy
        self.squeeze = dense(squeezed, self.width, dtype, "squeeze", "relu")
        self.excite = dense(self.width, squeezed, dtype, "excite", "sigmoid")
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        factors = self.excite(self.squeeze(tf.reduce_mean(x, axis=(1, 2))))
        return x * factors[:, None, None, :]

    def get_config(self) -> dict:
        return {**super().get_config(), "width": self.width}


class NVAEBlock(keras.layers.Layer):
    """x + 0.1 branch(x), with batch normalisation and squeeze and excitation in the branch.

    Maps [batch, side, side, width] to the same shape. The branch is computed in the compute type of
    the layer's policy, the sum in the input's type.

    Args:
        width: channels.
        kernel_size: side of the kernels; 1 where more would see padding only.
    """

    def __init__(self, width: int, kernel_size: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.width = width
        self.kernel_size = kernel_size

    def build(self, input_shape: Any = None) -> None:
        self.branch = self.make_branch()
        super().build(input_shape)

    def make_branch(self) -> list[Callable]:
        """Returns the layers of the branch, built, and the functions between them."""
        raise NotImplementedError

    @property
    def kept_channels(self) -> int:
        """Channels that the gradient keeps of each place: what enters the parts, and sigmoids."""
        raise NotImplementedError

    def convolution(
        self,
        name: str,
        filters: int,
        kernel_size: int,
        in_width: int,
        use_bias: bool = False,
    ) -> keras.layers.Layer:
        """Returns a built convolution of the block, with a bias where no normalisation follows."""
        dtype = self.dtype_policy
        return convolution(filters, kernel_size, in_width, dtype, name, use_bias=use_bias)

    def normalisation(self, name: str, width: int) -> keras.layers.Layer:
        """Returns a built batch normalisation of so many channels."""
        layer = keras.layers.BatchNormalization(
            momentum=MOMENTUM, epsilon=EPSILON, dtype=self.dtype_policy, name=name
        )
        layer.build((None, None, None, width))
        return layer

    def squeeze_and_excitation(self) -> keras.layers.Layer:
        """Returns the built end of the branch."""
        layer = SqueezeAndExcitation(self.width, dtype=self.dtype_policy, name="channels")
        layer.build()
        return layer

    def call(self, x: tf.Tensor) -> tf.Tensor:
        hidden = tf.cast(x, self.compute_dtype)
        for part in self.branch:
            hidden = part(hidden)
        return add_branch(x, RESIDUAL_WEIGHT * hidden)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict:
        own = {"width": self.width, "kernel_size": self.kernel_size}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="pcvae")
class NVAEEncoderBlock(NVAEBlock):
    """Twice batch normalisation, swish, kxk; then squeeze and excitation. See `NVAEBlock`."""

    @classmethod
    def on_features(
        cls, width: int, middle_width: int, kernel_size: int, num_blocks: int, **kwargs: Any
    ) -> Self:
        """See `BottleneckBlock.on_features`; there is no bottleneck."""
        return cls(width, kernel_size, **kwargs)

    def make_branch(self) -> list[Callable]:
        width, kernel_size = self.width, self.kernel_size
        return [
            self.normalisation("norm_1", width),
            swish,
            self.convolution("c1", width, kernel_size, width),
            self.normalisation("norm_2", width),
            swish,
            self.convolution("c2", width, kernel_size, width, use_bias=True),
            self.squeeze_and_excitation(),
        ]

    @property
    def kept_channels(self) -> int:
        return 9 * self.width


@keras.saving.register_keras_serializable(package="pcvae")
class NVAEDecoderBlock(NVAEBlock):
    """A depthwise convolution of many channels between two 1x1 convolutions. See `NVAEBlock`.

    Batch normalisation, 1x1 to six times the width, batch normalisation, swish, depthwise kxk,
    batch normalisation, swish, 1x1 back, batch normalisation, squeeze and excitation.
    """

    def make_branch(self) -> list[Callable]:
        width, inner = self.width, EXPANSION * self.width
        return [
            self.normalisation("norm_1", width),
            self.convolution("expand", inner, 1, width),
            self.normalisation("norm_2", inner),
            swish,
            self._depthwise(inner),
            self.normalisation("norm_3", inner),
            swish,
            self.convolution("project", width, 1, inner),
            self.normalisation("norm_4", width),
            self.squeeze_and_excitation(),
        ]

    @property
    def kept_channels(self) -> int:
        return (4 + 8 * EXPANSION) * self.width

    def _depthwise(self, width):
        layer = keras.layers.DepthwiseConv2D(
            self.kernel_size,
            padding="same",
            use_bias=False,
            data_format="channels_last",
            # Keras counts all channels as the fan-in of each.
            depthwise_initializer=fan_in_uniform(float(width)),
            dtype=self.dtype_policy,
            name="depthwise",
        )
        layer.build((None, None, None, width))
        return layer
