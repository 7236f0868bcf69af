"""The bottom-up encoder: images to activations at every resolution (Child 2020, figure 3)."""

from typing import Any

import keras
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.layers.depth import LevelFunctions
from pcvae.layers.levels import parse_encoder_blocks, width_function, widths_notation
from pcvae.layers.residual import BottleneckBlock, add_branch, convolution
from pcvae.layers.stack import Stack


def inner_kernel_size(resolution: int) -> int:
    """Returns the side of a block's inner kernels: 1 where 3x3 would see padding only."""
    return 3 if resolution > 2 else 1


def how_to_run(
    resolution: int, num_levels: int, unroll: bool, recompute: int | None
) -> dict[str, bool]:
    """Returns the arguments of a `Stack` that say how its levels are run.

    Args:
        resolution: of the stack.
        num_levels: of all stacks of this resolution.
        unroll: whether to write levels out in any case.
        recompute: the coarsest resolution whose levels are computed anew, or None.
    """
    anew = recompute is not None and resolution >= recompute
    # A function for one call alone would be traced for nothing.
    return {"unroll": unroll or (num_levels == 1 and not anew), "recompute": anew}


@keras.saving.register_keras_serializable(package="pcvae")
class Encoder(keras.layers.Layer):
    """Residual blocks from fine to coarse; maps images to {resolution: activations}.

    The activations, a residual stream, are of the type of the weights under any policy. Where the
    width grows on the way down the activations are padded with zero channels, as
    published.

    Args:
        blocks: the encoder's layer string, such as ``"32x11,32d2,16x6,16d4,4x3"``.
        width: channels at every resolution that `width_per_resolution` does not name.
        channels: channels of the images.
        bottleneck: width of a block's bottleneck as a fraction of the width.
        width_per_resolution: {resolution: width} or ``"64:32,32:48"``.
        condition_channels: channels of a condition of the images' size that is concatenated to
            them; its part of the first kernel starts at zero. 0 for none.
        unroll: whether the levels of a stack are written out in the graph.
        recompute: the coarsest resolution whose levels the gradient computes anew; see `Stack`.
            None for none, 1 for all.
        block_class: the class of the blocks, with a method ``on_features`` as that of
            `BottleneckBlock`, or its registered name.

    Raises:
        UserError: the string or the widths do not fit together.
    """

    def __init__(
        self,
        blocks: str,
        width: int,
        channels: int = 3,
        bottleneck: float = 0.25,
        width_per_resolution: str | dict = "",
        condition_channels: int = 0,
        unroll: bool = False,
        recompute: int | None = None,
        block_class: type | str = BottleneckBlock,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        is_name = isinstance(block_class, str)
        self.block_class: Any = (
            keras.saving.get_registered_object(block_class) if is_name else block_class
        )
        self.blocks = blocks
        self.width = width
        self.channels = channels
        self.bottleneck = bottleneck
        self.width_per_resolution = widths_notation(width_per_resolution)
        self.condition_channels = condition_channels
        self.unroll = unroll
        self.recompute = recompute
        self.groups = parse_encoder_blocks(blocks)
        self.width_at = width_function(width, self.width_per_resolution)
        self.image_size = self.groups[0].resolution
        self._check_widths()

    def _check_widths(self):
        sides = [group.resolution for group in self.groups]
        for finer, coarser in zip(sides, sides[1:], strict=False):
            if self.width_at(coarser) < self.width_at(finer):
                raise UserError(
                    "width_per_resolution: the encoder's width must not shrink towards coarser "
                    f"resolutions, got {self.width_at(finer)} at {finer} and "
                    f"{self.width_at(coarser)} at {coarser}"
                )

    def build(self, input_shape: Any = None) -> None:
        num_blocks = sum(group.num_blocks for group in self.groups)
        self.in_conv = convolution(
            self.width_at(self.image_size), 3, self.channels, self.dtype_policy, "in_conv"
        )
        if self.condition_channels:
            self.condition_conv = convolution(
                self.width_at(self.image_size),
                3,
                self.condition_channels,
                self.dtype_policy,
                "condition_conv",
                kernel_initializer="zeros",
            )
        self.stacks = []
        for group in self.groups:
            width = self.width_at(group.resolution)
            block = self.block_class.on_features(
                width,
                middle_width=int(width * self.bottleneck),
                kernel_size=inner_kernel_size(group.resolution),
                num_blocks=num_blocks,
                dtype=self.dtype_policy,
                name="block",
            )
            here = [g.num_blocks for g in self.groups if g.resolution == group.resolution]
            stack = Stack(
                block,
                group.num_blocks,
                name=f"blocks_{group.first_block:03d}",
                **how_to_run(group.resolution, sum(here), self.unroll, self.recompute),
            )
            stack.build((None, group.resolution, group.resolution, width))
            self.stacks.append(stack)
        super().build(input_shape)

    def call(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> dict[int, tf.Tensor]:
        """Maps [batch, side, side, channels] to {resolution: [batch, r, r, width at r]}.

        Args:
            x: the images.
            condition: [batch, side, side, condition_channels], if the encoder has such channels.
        """
        x = tf.cast(self.in_conv(x), self.variable_dtype)
        if self.condition_channels:
            x = add_branch(x, self.condition_conv(condition))
        activations, functions = {self.image_size: x}, LevelFunctions()
        for group, stack in zip(self.groups, self.stacks, strict=True):
            x = stack(x, functions=functions)
            if group.pool:
                x = tf.nn.avg_pool2d(x, group.pool, group.pool, "VALID")
            resolution = group.resolution // (group.pool or 1)
            x = pad_channels(x, self.width_at(resolution))
            activations[resolution] = x
        return activations

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "blocks": self.blocks,
            "width": self.width,
            "channels": self.channels,
            "bottleneck": self.bottleneck,
            "width_per_resolution": self.width_per_resolution,
            "condition_channels": self.condition_channels,
            "unroll": self.unroll,
            "recompute": self.recompute,
            "block_class": keras.saving.get_registered_name(self.block_class),
        }


def pad_channels(x: tf.Tensor, width: int) -> tf.Tensor:
    """Pads [batch, side, side, channels] with zero channels up to a width."""
    missing = width - x.shape[-1]
    return tf.pad(x, [[0, 0], [0, 0], [0, 0], [0, missing]]) if missing else x
