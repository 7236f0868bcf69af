"""Latents that are drawn upwards from the image, and the convolutional level that does so."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pcvae.distributions.gaussian import DiagonalGaussian, DrawnGaussian
from pcvae.distributions.noise import Noise
from pcvae.layers.cells.cell import ConvolutionalLevel, Site, standard_normal
from pcvae.layers.plan import Plan, inferring, of_level
from pcvae.layers.residual import convolution, upsampled


def drawn_upwards(
    cells: Sequence[Any], latent_shapes: Sequence[tuple], plan: Plan, noise: Noise, x: tf.Tensor
) -> list[DiagonalGaussian]:
    """Draws all latents from the finest to the coarsest, each given the one below it.

    q(z | x) = q(z_L | x) q(z_L-1 | z_L) ... q(z_1 | z_2). The latent of a level is drawn with the
    noise of its site, so that a plan which draws it again from what is returned gets the same one;
    a latent that the plan has as given is taken.

    Args:
        cells: of the levels, coarsest first, with ``upwards`` and ``recognised``.
        latent_shapes: shape of each latent, without the batch.
        plan: that of the walk.
        noise: that of the walk.
        x: the image, as the finest level sees it.

    Returns:
        The posterior of each level, coarsest first. But for the first one they are
        `DrawnGaussian`s: the prior of such a level depends on its latent.
    """
    plan, found = inferring(plan), []
    for level in reversed(range(len(cells))):
        posterior = cells[level].recognised(cells[level].upwards(x))
        site = Site(tf.constant(level), (tf.shape(x)[0], *latent_shapes[level]))
        own, inputs = of_level(plan, level)
        x, _ = own.draw(site, posterior, posterior, noise, *inputs)
        if level > 0:
            posterior = DrawnGaussian(posterior.loc, posterior.log_std, x)
        found.append(posterior)
    return found[::-1]


@keras.saving.register_keras_serializable(package="pcvae")
class BottomUpCell(ConvolutionalLevel):
    """A latent [side, side, latent_width] that is drawn given the latent below it (ours).

    Upwards: a 3x3 convolution, pooling to the side of the level, a residual block. Downwards: the
    latent's 1x1 convolution and a residual block; the next level, or the image, sees nothing else.

    Args:
        level: its number, from 0; the prior of the first is the standard normal.
        side: of its latent.
        latent_width: channels of the latent.
        seen_width: channels of what comes up from below.
        width: channels of the features; see `ConvolutionalLevel`, also for the rest.
        middle_width: channels of the blocks' bottleneck.
        **kwargs: the other arguments of `ConvolutionalLevel`, and those of a Keras layer.
    """

    def __init__(
        self,
        level: int,
        side: int,
        latent_width: int,
        seen_width: int,
        width: int,
        middle_width: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(width, middle_width, **kwargs)
        self.level = level
        self.side = side
        self.latent_width = latent_width
        self.seen_width = seen_width

    def build(self, input_shape: Any = None) -> None:
        parameters = 2 * self.latent_width
        self.seen = convolution(self.width, 3, self.seen_width, self.dtype_policy, "upwards_in")
        self.upwards_block = self.residual("upwards", last_scale=1.0)
        self.posterior_block = self.block("posterior", self.width, parameters)
        self.prior_block = self.block("prior", self.width, parameters) if self.level else None
        self.entrance = self.latent_entrance(self.latent_width)
        self.downwards_block = self.residual("downwards", last_scale=1.0)
        super().build(input_shape)

    def upwards(self, x: tf.Tensor) -> tf.Tensor:
        """Maps [batch, s, s, seen_width] to [batch, side, side, width], s a multiple of side."""
        x = tf.cast(self.seen(x), self.variable_dtype)
        factor = x.shape[1] // self.side
        if factor > 1:
            x = tf.nn.avg_pool2d(x, factor, factor, "VALID")
        return self.upwards_block(x)

    def recognised(self, hidden: tf.Tensor) -> DiagonalGaussian:
        """Returns the Gaussian of the latent that the features from `upwards` stand for."""
        return DiagonalGaussian(*tf.split(self.posterior_block(hidden), 2, axis=-1))

    def prior(self, h: tf.Tensor, site: Site) -> tuple[DiagonalGaussian, tf.Tensor]:
        """Returns p(z_i | z_<i), and h [batch, s, s, width] as it is."""
        if self.prior_block is None:
            return standard_normal(site), h
        mean, log_std = tf.split(self.prior_block(enlarged(h, self.side)), 2, axis=-1)
        return DiagonalGaussian(mean, log_std), h

    def posterior(
        self, h: tf.Tensor, prior: DiagonalGaussian, evidence: Any, site: Site
    ) -> DiagonalGaussian:
        """Returns the Gaussian of this level among those that were found on the way upwards."""
        return evidence[self.level]

    def absorb(self, h: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """Returns what the latent is made into: nothing of h is kept."""
        return self.downwards_block(tf.cast(self.entrance(latent), self.variable_dtype))

    def get_config(self) -> dict:
        names = ("level", "side", "latent_width", "seen_width")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def enlarged(h: tf.Tensor, side: int) -> tf.Tensor:
    """Repeats [batch, s, s, width] to [batch, side, side, width], side a multiple of s."""
    return upsampled(h, side // h.shape[1])
