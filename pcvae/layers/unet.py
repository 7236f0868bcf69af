"""The denoiser of Ho et al. (2020, appendix B): a U-Net that is told the time."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pcvae.checks import check_integer
from pcvae.errors import UserError
from pcvae.layers.residual import dense, swish, upsampled
from pcvae.layers.timed_block import TimedBlock, group_norm, unet_convolution

LONGEST_PERIOD = 10_000.0  # of the sines that tell the time


@keras.saving.register_keras_serializable(package="pcvae")
class UNet(keras.layers.Layer):
    """Maps an image and a time to an image of the same shape, zero at the start.

    On the way down each resolution has residual blocks and, but for the last, a convolution of
    stride 2; on the way up it has one block more, each of which also sees what a layer on the way
    down has left, and an up-sampling by repetition with a convolution. Every block adds a bias that
    is computed from the time; blocks at some resolutions end with self-attention of one head.

    Ours: no dropout (the published one drops a tenth on CIFAR-10), and fewer groups in the
    normalisations of narrow layers, so that none has a single channel.

    Args:
        channels: of the image.
        width: channels at its resolution, a multiple of 4.
        multipliers: the width of each resolution, finest first, as a multiple of ``width``.
        blocks_per_resolution: on the way down.
        attention_resolutions: sides at which blocks end with self-attention.
        side: of the image; it halves down to an integer once for each multiplier but the first.

    Raises:
        UserError: the arguments do not fit together.
    """

    def __init__(
        self,
        channels: int = 3,
        width: int = 128,
        multipliers: Sequence[int] = (1, 2, 2, 2),
        blocks_per_resolution: int = 2,
        attention_resolutions: Sequence[int] = (16,),
        side: int = 32,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.channels = check_integer("channels", channels, 1)
        self.width = check_integer("width", width, 4)
        self.multipliers = _counts("multipliers", multipliers)
        self.blocks_per_resolution = check_integer(
            "blocks_per_resolution", blocks_per_resolution, 1
        )
        self.attention_resolutions = _counts("attention_resolutions", attention_resolutions, 0)
        self.side = check_integer("side", side, 1)
        self._check_sizes()

    def _check_sizes(self):
        if self.width % 4:
            raise UserError(f"width: expected a multiple of 4, got {self.width}")
        halvings = len(self.multipliers) - 1
        if self.side % 2**halvings:
            raise UserError(
                f"multipliers: {len(self.multipliers)} of them halve the side of the images "
                f"{halvings} times, which {self.side} does not allow: give fewer"
            )
        if unknown := sorted(set(self.attention_resolutions) - set(self.sides)):
            raise UserError(
                f"attention_resolutions: expected some of {', '.join(map(str, self.sides))}, got "
                f"{unknown[0]}"
            )

    @property
    def sides(self) -> tuple[int, ...]:
        """The resolutions, finest first."""
        return tuple(self.side // 2**index for index in range(len(self.multipliers)))

    def build(self, input_shape: Any = None) -> None:
        widths = [self.width * multiplier for multiplier in self.multipliers]
        time_width, policy = 4 * self.width, self.dtype_policy
        self.time_hidden = dense(time_width, self.width, policy, "time_hidden")
        self.time_out = dense(time_width, time_width, policy, "time_out")
        self.down_blocks, self.up_blocks = [], []
        self.downs, self.ups = [], []
        skips, here = [self.width], self.width

        def block(name, in_width, out_width, attention):
            layer = TimedBlock(in_width, out_width, time_width, attention, name=name, dtype=policy)
            layer.build()
            return layer

        def convolution(name, filters, in_width, **options):
            return unet_convolution(name, filters, in_width, policy, **options)

        self.entrance = convolution("entrance", self.width, self.channels)
        for side, width in zip(self.sides, widths, strict=True):
            attention = side in self.attention_resolutions
            for number in range(self.blocks_per_resolution):
                name = f"down_{side:03d}_{number}"
                self.down_blocks.append(block(name, here, width, attention))
                here = width
                skips.append(here)
            if side != self.sides[-1]:
                self.downs.append(convolution(f"to_{side // 2:03d}", here, here, strides=2))
                skips.append(here)
        self.middle = [
            block("middle_0", here, here, attention=True),
            block("middle_1", here, here, attention=False),
        ]
        for side, width in zip(self.sides[::-1], widths[::-1], strict=True):
            attention = side in self.attention_resolutions
            for number in range(self.blocks_per_resolution + 1):
                name = f"up_{side:03d}_{number}"
                self.up_blocks.append(block(name, here + skips.pop(), width, attention))
                here = width
            if side != self.side:
                self.ups.append(convolution(f"from_{side:03d}", here, here))
        self.last_norm = group_norm("last_norm", here)
        self.exit = convolution("exit", self.channels, here, kernel_initializer="zeros")
        super().build(input_shape)

    def call(self, x: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        """Computes the image.

        Args:
            x: float32 [batch, side, side, channels].
            time: float32 [batch], or [] for one time of all.

        Returns:
            float32 of the shape of x.
        """
        told = self.time_out(swish(self.time_hidden(sines(time, self.width))))
        told = swish(told)
        h = tf.cast(self.entrance(x), x.dtype)
        skips, down, up = [h], iter(self.down_blocks), iter(self.up_blocks)
        for index in range(len(self.sides)):
            for _ in range(self.blocks_per_resolution):
                h = next(down)(h, told)
                skips.append(h)
            if index < len(self.downs):
                h = tf.cast(self.downs[index](h), x.dtype)
                skips.append(h)
        for block in self.middle:
            h = block(h, told)
        for index in range(len(self.sides)):
            for _ in range(self.blocks_per_resolution + 1):
                h = next(up)(tf.concat([h, skips.pop()], axis=-1), told)
            if index < len(self.ups):
                h = tf.cast(self.ups[index](upsampled(h, 2)), x.dtype)
        return tf.cast(self.exit(swish(self.last_norm(h))), x.dtype)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "channels": self.channels,
            "width": self.width,
            "multipliers": list(self.multipliers),
            "blocks_per_resolution": self.blocks_per_resolution,
            "attention_resolutions": list(self.attention_resolutions),
            "side": self.side,
        }


def sines(time: tf.Tensor, width: int) -> tf.Tensor:
    """Returns sines and cosines of a time, of periods from 2 pi to 10,000 times that.

    Args:
        time: float32 [batch] or [].
        width: an even number, 4 or more.

    Returns:
        float32 [batch, width], or [1, width] for one time.
    """
    half = width // 2
    rates = tf.exp(tf.range(half, dtype=tf.float32) * (-math.log(LONGEST_PERIOD) / (half - 1)))
    angles = tf.reshape(time, [-1, 1]) * rates
    return tf.concat([tf.sin(angles), tf.cos(angles)], axis=-1)


def _counts(name, values, least=1):
    """Returns integers above 0 as a tuple; UserError for anything else, or too few of them."""
    if not isinstance(values, list | tuple) or len(values) < least:
        raise UserError(f"{name}: expected a list of integers above 0, got {values!r}")
    return tuple(check_integer(name, value, 1) for value in values)
