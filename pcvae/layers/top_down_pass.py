"""The frame of a top-down pass: learned starts, stacks of levels, gain and bias."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.layers.encoder import how_to_run, inner_kernel_size
from pcvae.layers.levels import (
    DecoderGroup,
    level_resolutions,
    parse_decoder_blocks,
    prefix_length,
    width_function,
    widths_notation,
)
from pcvae.layers.residual import upsampled
from pcvae.layers.stack import Stack


class TopDownPass(keras.layers.Layer):
    """Levels from coarse to fine; what `TopDown` and `Readout` have in common.

    Each resolution starts from a learned bias (from zeros above `no_bias_above`), adds the
    up-sampled features of the resolution that its string mixes in, and runs its levels; a gain and
    a bias end the pass. The features, a residual stream, are of the type of the weights under any
    policy. A subclass makes the levels (`_make_level`) and says how a stack of them
    is run.

    Args:
        blocks: the layer string, such as ``"1x1,4m1,4x2,8m4,8x5"``.
        width: channels at every resolution that `width_per_resolution` does not name.
        latent_width: channels of each latent.
        bottleneck: width of a block's bottleneck as a fraction of the width.
        width_per_resolution: {resolution: width} or ``"64:32,32:48"``.
        no_bias_above: the finest resolution that starts from a learned bias.
        num_latent_levels: the levels, coarsest first, that have a latent: a number, or a
            resolution such as ``"4x4"`` for all up to it. The others are deterministic. None for
            all.
        split_levels: level indices that start a stack of their own, so that the levels before
            them can be frozen.
        unroll: whether the levels of a stack are written out in the graph.
        recompute: the coarsest resolution whose levels the gradient computes anew; see `Stack`.
            None for none, 1 for all.

    Raises:
        UserError: the string or the widths do not fit together.
    """

    def __init__(
        self,
        blocks: str,
        width: int,
        latent_width: int = 16,
        bottleneck: float = 0.25,
        width_per_resolution: str | dict = "",
        no_bias_above: int = 64,
        num_latent_levels: int | None = None,
        split_levels: Sequence[int] = (),
        unroll: bool = False,
        recompute: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.blocks = blocks
        self.width = width
        self.latent_width = latent_width
        self.bottleneck = bottleneck
        self.width_per_resolution = widths_notation(width_per_resolution)
        self.no_bias_above = no_bias_above
        self.split_levels = tuple(split_levels)
        self.unroll = unroll
        self.recompute = recompute
        self.width_at = width_function(width, self.width_per_resolution)
        resolutions = level_resolutions(parse_decoder_blocks(blocks))
        total = len(resolutions)
        self.num_levels = (
            total
            if num_latent_levels is None
            else prefix_length(num_latent_levels, resolutions, "num_latent_levels")
        )
        cuts = {*self.split_levels, self.num_levels} - {total}
        self.groups = parse_decoder_blocks(blocks, sorted(cuts))
        self.resolutions = resolutions[: self.num_levels]
        self.image_size = self.groups[-1].resolution
        self._total_levels = total
        self._check_widths()

    def _check_widths(self):
        for group in self.groups:
            if group.mixin and self.width_at(group.mixin) < self.width_at(group.resolution):
                raise UserError(
                    "width_per_resolution: the decoder's width must not grow towards finer "
                    f"resolutions, got {self.width_at(group.mixin)} at {group.mixin} and "
                    f"{self.width_at(group.resolution)} at {group.resolution}"
                )

    def has_latents(self, group: DecoderGroup) -> bool:
        """Whether the levels of a group have latents."""
        return group.first_level < self.num_levels

    def build(self, input_shape: Any = None) -> None:
        self.biases = {}
        for resolution in sorted({group.resolution for group in self.groups}):
            if resolution <= self.no_bias_above:
                self.biases[str(resolution)] = self.add_weight(
                    shape=(resolution, resolution, self.width_at(resolution)),
                    initializer="zeros",
                    autocast=False,
                    name=f"bias_{resolution:03d}",
                )
        self.stacks = [self._build_stack(group) for group in self.groups]
        width = self.width_at(self.image_size)
        self.gain = self.add_weight((width,), "ones", autocast=False, name="gain")
        self.bias = self.add_weight((width,), "zeros", autocast=False, name="bias")
        super().build(input_shape)

    def _build_stack(self, group):
        width = self.width_at(group.resolution)
        level = self._make_level(
            group,
            width=width,
            middle_width=int(width * self.bottleneck),
            kernel_size=inner_kernel_size(group.resolution),
            num_levels=self._total_levels,
            dtype=self.dtype_policy,
            name="level",
        )
        name = f"levels_{group.first_level:03d}"
        here = [g.num_levels for g in self.groups if g.resolution == group.resolution]
        how = how_to_run(group.resolution, sum(here), self.unroll, self.recompute)
        stack = Stack(level, group.num_levels, name=name, **how)
        stack.build((None, group.resolution, group.resolution, width))
        return stack

    def _make_level(self, group, **arguments):
        """Returns the template of the levels of a group; `arguments` are those of a level."""
        raise NotImplementedError

    def _pass(self, batch_size, run):
        """Runs all groups of levels.

        Args:
            batch_size: integer tensor.
            run: function (group, stack, features) -> features.

        Returns:
            [batch, height, width, width of the decoder], after gain and bias.
        """
        features_at = {}
        for group, stack in zip(self.groups, self.stacks, strict=True):
            features = self._start(group, features_at, batch_size)
            features_at[group.resolution] = run(group, stack, features)
        features = features_at[self.image_size]
        return features * tf.convert_to_tensor(self.gain) + tf.convert_to_tensor(self.bias)

    def _start(self, group, features_at, batch_size):
        """Gives the features that the first level of a group starts from."""
        resolution, width = group.resolution, self.width_at(group.resolution)
        features = features_at.get(resolution)
        if features is None:
            shape = (batch_size, resolution, resolution, width)
            if str(resolution) in self.biases:
                bias = tf.convert_to_tensor(self.biases[str(resolution)])
                features = tf.broadcast_to(bias, shape)
            else:
                features = tf.zeros(shape, self.variable_dtype)
        if group.mixin:
            coarse = features_at[group.mixin][..., :width]
            factor = resolution // group.mixin
            features += upsampled(coarse, factor)
        return features

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "blocks": self.blocks,
            "width": self.width,
            "latent_width": self.latent_width,
            "bottleneck": self.bottleneck,
            "width_per_resolution": self.width_per_resolution,
            "no_bias_above": self.no_bias_above,
            "num_latent_levels": self.num_levels,
            "split_levels": list(self.split_levels),
            "unroll": self.unroll,
            "recompute": self.recompute,
        }


def batch_size_of(tensor: tf.Tensor) -> Any:
    """Returns the batch size of a tensor, static where it is known."""
    return tensor.shape[0] or tf.shape(tensor)[0]
