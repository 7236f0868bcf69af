"""The bottleneck block of the VDVAE (Child 2020, figure 3, right)."""

from typing import Any, Self

import keras
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.layers.gelu_convolutions import convolve, gelu_convolutions


def fan_in_uniform(scale: float = 1.0) -> keras.initializers.Initializer:
    """Returns the initializer of the published convolutions: uniform in +-sqrt(scale / fan_in).

    ``scale = 1`` is PyTorch's default for convolutions, which the published models start from;
    ``scale = 1 / n`` multiplies the weights by sqrt(1 / n), as it does for n residual blocks.
    """
    return keras.initializers.VarianceScaling(scale / 3.0, mode="fan_in", distribution="uniform")


@keras.saving.register_keras_serializable(package="pcvae")
class PointwiseConv2D(keras.layers.Conv2D):
    """A 1x1 convolution as one matrix product.

    Equal to `keras.layers.Conv2D`; on a CPU its gradient takes half the time
    (``benchmarks/pointwise.py``), and half of a VDVAE's convolutions are 1x1.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        bias = tf.convert_to_tensor(self.bias) if self.use_bias else None
        return convolve(inputs, tf.convert_to_tensor(self.kernel), bias)


def convolution(
    filters: int,
    kernel_size: int,
    in_width: int,
    dtype: Any,
    name: str,
    kernel_initializer: Any = None,
    use_bias: bool = True,
    strides: int = 1,
) -> keras.layers.Conv2D:
    """Returns a convolution with zero bias, or with none, built for `in_width` input channels."""
    kind = PointwiseConv2D if kernel_size == strides == 1 else keras.layers.Conv2D
    layer = kind(
        filters,
        kernel_size,
        strides,
        padding="same",
        data_format="channels_last",
        kernel_initializer=kernel_initializer or fan_in_uniform(),
        use_bias=use_bias,
        dtype=dtype,
        name=name,
    )
    layer.build((None, None, None, in_width))
    return layer


def dense(
    units: int,
    in_width: int,
    dtype: Any,
    name: str,
    activation: str | None = None,
    use_bias: bool = True,
) -> keras.layers.Dense:
    """Returns a dense layer, built for `in_width` numbers."""
    layer = keras.layers.Dense(
        units, activation=activation, use_bias=use_bias, dtype=dtype, name=name
    )
    layer.build((None, in_width))
    return layer


def upsampled(x: tf.Tensor, factor: int) -> tf.Tensor:
    """Repeats each place of [batch, side, side, channels] in both directions."""
    if factor == 1:
        return x
    return tf.repeat(tf.repeat(x, factor, axis=1), factor, axis=2)


def add_branch(h: tf.Tensor, branch: tf.Tensor) -> tf.Tensor:
    """Adds what a branch has computed to a residual stream, in the stream's type.

    The sum over many levels would lose in bfloat16 what a branch adds to a large number.

    Args:
        h: [batch, side, side, width], the stream.
        branch: of this shape, in any float type.
    """
    return h + tf.cast(branch, h.dtype)


def swish(x: tf.Tensor) -> tf.Tensor:
    """Returns x sigmoid(x).

    TensorFlow's own brings a gradient along into what is exported, which may then do anything.
    """
    return x * tf.sigmoid(x)


@keras.saving.register_keras_serializable(package="pcvae")
class BottleneckBlock(keras.layers.Layer):
    """gelu, 1x1, gelu, kxk, gelu, kxk, gelu, 1x1; with or without the residual connection.

    Maps [batch, side, side, in_width] to [batch, side, side, out_width]. The convolutions are
    computed in the compute type of the layer's policy, the sum with the input in the input's type.

    Args:
        in_width: channels of the input.
        middle_width: channels of the bottleneck.
        out_width: channels of the output.
        kernel_size: side of the two inner kernels: 3, or 1 where the side is at most 2.
        residual: whether the input is added to the output (needs in_width == out_width).
        last_scale: variance scale of the last convolution's start; 0 starts it at zero.

    Raises:
        UserError: the bottleneck has no channel.
    """

    def __init__(
        self,
        in_width: int,
        middle_width: int,
        out_width: int,
        kernel_size: int = 3,
        residual: bool = False,
        last_scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if middle_width < 1:
            raise UserError(
                "bottleneck: expected a fraction of the width that leaves 1 channel or more, got "
                f"{middle_width} for a block of {out_width} channels"
            )
        if residual and in_width != out_width:
            raise ValueError(f"residual needs in_width == out_width, got {in_width}, {out_width}")
        self.in_width = in_width
        self.middle_width = middle_width
        self.out_width = out_width
        self.kernel_size = kernel_size
        self.residual = residual
        self.last_scale = last_scale

    @classmethod
    def on_features(
        cls, width: int, middle_width: int, kernel_size: int, num_blocks: int, **kwargs: Any
    ) -> Self:
        """Returns a residual block on features, one of so many in a row."""
        scale = 1.0 / num_blocks
        return cls(width, middle_width, width, kernel_size, True, scale, **kwargs)

    @property
    def kept_channels(self) -> int:
        """Channels that the gradient keeps of each place; see `gelu_convolutions`."""
        return self.in_width + 3 * self.middle_width

    def build(self, input_shape: Any = None) -> None:
        middle, kernel, dtype = self.middle_width, self.kernel_size, self.dtype_policy
        last = fan_in_uniform(self.last_scale) if self.last_scale else "zeros"
        self.c1 = convolution(middle, 1, self.in_width, dtype, "c1")
        self.c2 = convolution(middle, kernel, middle, dtype, "c2")
        self.c3 = convolution(middle, kernel, middle, dtype, "c3")
        self.c4 = convolution(self.out_width, 1, middle, dtype, "c4", kernel_initializer=last)
        super().build(input_shape)

    @property
    def convolutions(self) -> dict[str, keras.layers.Layer]:
        """The convolutions that hold all weights of the block, by name."""
        return {"c1": self.c1, "c2": self.c2, "c3": self.c3, "c4": self.c4}

    def call(self, x: tf.Tensor) -> tf.Tensor:
        layers, low = self.convolutions.values(), self.compute_dtype
        kernels = [tf.cast(layer.kernel, low) for layer in layers]
        biases = [tf.cast(layer.bias, low) for layer in layers]
        hidden = gelu_convolutions(tf.cast(x, low), kernels, biases)
        return add_branch(x, hidden) if self.residual else hidden

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (*input_shape[:-1], self.out_width)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "in_width": self.in_width,
            "middle_width": self.middle_width,
            "out_width": self.out_width,
            "kernel_size": self.kernel_size,
            "residual": self.residual,
            "last_scale": self.last_scale,
        }
