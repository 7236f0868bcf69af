"""What a walk asks of one top-down level, and what convolutional levels have in common."""

from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from pcvae.distributions.gaussian import DiagonalGaussian
from pcvae.layers.gates import Gate
from pcvae.layers.residual import BottleneckBlock, convolution, fan_in_uniform


class Site(NamedTuple):
    """Where on its way a walk is: one level of one batch."""

    index: tf.Tensor  # [] int32, number of the level, also the site of its noise
    shape: tuple  # of the latent: (batch, ...)


def standard_normal(site: Site) -> DiagonalGaussian:
    """Returns the prior of a level that has none of its own: N(0, 1) of the site's shape."""
    zeros = tf.zeros(site.shape)
    return DiagonalGaussian(zeros, zeros)


class Cell(Protocol):
    """What one level computes; z_<i are in the features h [batch, ...]."""

    def prior(self, h: tf.Tensor, site: Site) -> tuple[DiagonalGaussian, tf.Tensor]:
        """Returns p(z_i | z_<i), and h after the prior's residual."""
        ...

    def posterior(
        self, h: tf.Tensor, prior: DiagonalGaussian, evidence: Any, site: Site
    ) -> DiagonalGaussian:
        """Returns q(z_i | x, z_<i) from h before the prior's residual; it sees the prior."""
        ...

    def absorb(self, h: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """Returns h with z_i in it."""
        ...


class ConvolutionalLevel(keras.layers.Layer):
    """A level of a convolutional hierarchy: the arguments, blocks and gate that all kinds share.

    Args:
        width: channels of the features [batch, side, side, width].
        middle_width: channels of the blocks' bottleneck.
        kernel_size: side of the blocks' inner kernels.
        num_levels: number of levels of the whole, whose residual branches start scaled by
            sqrt(1 / num_levels).
        gated: whether a condition enters by a `Gate`; see `enter`.
    """

    def __init__(
        self,
        width: int,
        middle_width: int,
        kernel_size: int = 3,
        num_levels: int = 1,
        gated: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # the features keep their type
        self.width = width
        self.middle_width = middle_width
        self.kernel_size = kernel_size
        self.num_levels = num_levels
        self.gated = gated

    def build(self, input_shape: Any = None) -> None:
        self.gate = None
        if self.gated:
            self.gate = Gate(self.width, dtype=self.dtype_policy, name="condition_gate")
            self.gate.build()
        super().build(input_shape)

    def block(
        self,
        name: str,
        in_width: int,
        out_width: int,
        residual: bool = False,
        last_scale: float = 1.0,
    ) -> BottleneckBlock:
        """Returns a built `BottleneckBlock` of the level."""
        layer = BottleneckBlock(
            in_width,
            self.middle_width,
            out_width,
            kernel_size=self.kernel_size,
            residual=residual,
            last_scale=last_scale,
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build()
        return layer

    def residual(self, name: str, last_scale: float) -> BottleneckBlock:
        """Returns a built residual block on the features."""
        return self.block(name, self.width, self.width, residual=True, last_scale=last_scale)

    def latent_entrance(self, latent_width: int) -> keras.layers.Layer:
        """Returns the 1x1 convolution by which a latent enters the features."""
        initializer = fan_in_uniform(1.0 / self.num_levels)
        name = "latent_projection"
        return convolution(self.width, 1, latent_width, self.dtype_policy, name, initializer)

    def enter(self, h: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
        """Returns the features with the condition, which prior and posterior then see alike.

        Args:
            h: [batch, side, side, width].
            condition: of the same shape or one that broadcasts with it.
        """
        return self.gate(h, condition)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "width": self.width,
            "middle_width": self.middle_width,
            "kernel_size": self.kernel_size,
            "num_levels": self.num_levels,
            "gated": self.gated,
        }


@keras.saving.register_keras_serializable(package="pcvae")
class DeterministicLevel(ConvolutionalLevel):
    """A level without a latent: the prior's residual, then the residual block.

    Depth and receptive field are those of a `VDVAECell` (ours: the paper does not say what stands
    above the last latent of a first stage). Arguments are those of `ConvolutionalLevel`.
    """

    def build(self, input_shape: Any = None) -> None:
        self.prior_block = self.residual("prior", last_scale=0.0)
        self.residual_block = self.residual("residual", last_scale=1.0 / self.num_levels)
        super().build(input_shape)

    def call(self, h: tf.Tensor) -> tf.Tensor:
        return self.residual_block(self.prior_block(h))
