"""What the U-Net of a denoiser is made of: blocks that are told the time, and self-attention."""

import math
from typing import Any

import keras
import tensorflow as tf

from pcvae.layers.residual import add_branch, convolution, dense, swish

NUM_GROUPS = 32  # of a group normalisation, as published


@keras.saving.register_keras_serializable(package="pcvae")
class TimedBlock(keras.layers.Layer):
    """Norm, swish, 3x3, the bias of the time, norm, swish, 3x3 that starts at zero; plus the input.

    Maps [batch, side, side, in_width] to [batch, side, side, out_width]; the sum is of the input's
    type under any policy.

    Args:
        in_width: channels of the input, which a 1x1 convolution takes to ``out_width``.
        out_width: channels of the output.
        time_width: numbers that tell the time.
        attention: whether self-attention follows.
    """

    def __init__(
        self, in_width: int, out_width: int, time_width: int, attention: bool, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.in_width, self.out_width = in_width, out_width
        self.time_width, self.has_attention = time_width, attention

    def build(self, input_shape: Any = None) -> None:
        policy, out_width = self.dtype_policy, self.out_width
        self.norm_1 = group_norm("norm_1", self.in_width)
        self.conv_1 = unet_convolution("conv_1", out_width, self.in_width, policy)
        self.time_bias = dense(out_width, self.time_width, policy, "time_bias")
        self.norm_2 = group_norm("norm_2", out_width)
        zeros = {"kernel_initializer": "zeros"}
        self.conv_2 = unet_convolution("conv_2", out_width, out_width, policy, **zeros)
        self.shortcut = self.attention = None
        if self.in_width != out_width:
            self.shortcut = pointwise("shortcut", out_width, self.in_width, policy)
        if self.has_attention:
            self.attention = SelfAttention(out_width, name="attention", dtype=policy)
            self.attention.build()
        super().build(input_shape)

    def call(self, h: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        branch = self.conv_1(swish(self.norm_1(h)))
        branch += self.time_bias(time)[:, None, None, :]
        branch = self.conv_2(swish(self.norm_2(branch)))
        stream = h if self.shortcut is None else tf.cast(self.shortcut(h), h.dtype)
        h = add_branch(stream, branch)
        return h if self.attention is None else self.attention(h)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "in_width": self.in_width,
            "out_width": self.out_width,
            "time_width": self.time_width,
            "attention": self.has_attention,
        }


@keras.saving.register_keras_serializable(package="pcvae")
class SelfAttention(keras.layers.Layer):
    """Each place sees all others, by one head; plus the input: [batch, side, side, width].

    Args:
        width: channels.
    """

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.width = width

    def build(self, input_shape: Any = None) -> None:
        self.norm = group_norm("norm", self.width)
        self.query, self.key, self.value = (
            pointwise(name, self.width, self.width, self.dtype_policy)
            for name in ("query", "key", "value")
        )
        zeros = {"kernel_initializer": "zeros"}
        self.out = pointwise("out", self.width, self.width, self.dtype_policy, **zeros)
        super().build(input_shape)

    def call(self, h: tf.Tensor) -> tf.Tensor:
        _, height, side, width = h.shape
        normed = self.norm(h)
        query, key, value = (
            tf.reshape(layer(normed), [-1, height * side, width])
            for layer in (self.query, self.key, self.value)
        )
        logits = tf.matmul(query, key, transpose_b=True)
        weights = tf.nn.softmax(tf.cast(logits, tf.float32) / math.sqrt(width))
        seen = tf.matmul(tf.cast(weights, value.dtype), value)
        return add_branch(h, self.out(tf.reshape(seen, [-1, height, side, width])))

    def get_config(self) -> dict:
        return {**super().get_config(), "width": self.width}


def unet_convolution(
    name: str,
    filters: int,
    in_width: int,
    dtype: Any,
    kernel_size: int = 3,
    strides: int = 1,
    kernel_initializer: str = "glorot_uniform",
) -> keras.layers.Conv2D:
    """Returns a built convolution, by default with the published start, by both fans."""
    start = kernel_initializer
    return convolution(filters, kernel_size, in_width, dtype, name, start, strides=strides)


def pointwise(
    name: str, filters: int, in_width: int, dtype: Any, **options: Any
) -> keras.layers.Conv2D:
    """Returns a built 1x1 convolution."""
    return unet_convolution(name, filters, in_width, dtype, kernel_size=1, **options)


def group_norm(name: str, width: int) -> keras.layers.GroupNormalization:
    """Returns a group normalisation in float32; a group has 4 channels or more."""
    groups = math.gcd(NUM_GROUPS, width // 4)
    layer = keras.layers.GroupNormalization(groups, epsilon=1e-6, dtype="float32", name=name)
    layer.build((None, None, None, width))
    return layer
