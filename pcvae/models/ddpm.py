"""The denoising diffusion model (Ho et al. 2020, arXiv 2006.11239) as a hierarchical VAE."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pcvae import units
from pcvae.checks import check_bytes
from pcvae.distributions.noise import Noise
from pcvae.distributions.noise_schedule import PUBLISHED_STEPS
from pcvae.errors import UserError
from pcvae.layers.cells import Site
from pcvae.layers.cells.diffusion import (
    DiffusionCell,
    PureNoiseCell,
    signal_and_deviation,
)
from pcvae.layers.fixed_gaussian_head import FixedGaussianHead
from pcvae.layers.plan import Plan
from pcvae.layers.unet import UNet
from pcvae.layers.walk import walk_shared
from pcvae.models import inputs
from pcvae.models.base import HierarchicalModel
from pcvae.models.conditions import UNCONDITIONAL, GivenCondition
from pcvae.models.description import Level, LevelRow, StageDescription, groups_of
from pcvae.models.diffusion import NOISE, Diffusion
from pcvae.models.one_level import one_level_output
from pcvae.models.recorded import BYTES_PER_WEIGHT
from pcvae.models.registry import register
from pcvae.outputs import Trace, VDVAEOutput


@register
class DDPM(HierarchicalModel):
    """A hierarchy whose q is a Gaussian diffusion: z_1 = x_T, ..., z_T = x_1.

    q has no weights; the levels of p share one denoiser, which makes an estimate xhat(x_t, t) of
    the image, the own decoder of the prefix that ends with x_t; see `layers.cells.diffusion`. The
    rates are KL divergences, and in closed form (the square over all dimensions)

        L_T = KL(q(x_T | x_0) || N(0, I)),   L_{t-1} = 1/2 (snr_{t-1} - snr_t) ||x_0 - xhat(x_t)||^2

    so that the rate of a level tells the distortion of the prefix before it. The head is a Gaussian
    of variance beta_1 about xhat(x_1, 1), discretised to the levels of a pixel. Latents have the
    shape of the image and its scale, [-1, 1].

    The U-Net predicts the noise, xhat = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t), or the
    velocity (Salimans and Ho 2022), xhat = sqrt(abar_t) x_t - sqrt(1 - abar_t) v. Ours: xhat is
    clipped to [-1, 1] wherever it is used, with the gradient of no clipping (Ho et al. clip in
    sampling and evaluation); with T other than 1000 the network is told (t - 1) 1000 / T.

    Args:
        image_shape: (height, width, channels), height equal to width.
        frozen: names of weights that are held; see `freeze`.
        **fields: the fields of a `Diffusion`, and ``dtype`` of a Keras model.

    Raises:
        UserError: the arguments do not fit together.
    """

    @Diffusion.as_arguments
    def __init__(
        self,
        image_shape: Sequence[int] = (32, 32, 3),
        frozen: Sequence[str] = (),
        *,
        name: str = "ddpm",
        dtype: Any = None,
        **fields: Any,
    ) -> None:
        super().__init__(image_shape, name=name, dtype=dtype)
        height, side, channels = self.image_shape
        if height != side:
            raise UserError(f"image_shape: expected square images, got {self.image_shape}")
        self.diffusion = made_of = Diffusion.of(fields, type(self).__name__)
        self.schedule = made_of.make_schedule()
        self.denoiser = UNet(
            channels,
            made_of.width,
            made_of.multipliers,
            made_of.blocks_per_resolution,
            made_of.attention_resolutions,
            side,
            name="denoiser",
            dtype=self.dtype_policy,
        )
        least = 18 * (made_of.width * max(self.denoiser.multipliers)) ** 2
        what = f"a denoiser with width={made_of.width}, multipliers={self.denoiser.multipliers}"
        remedy = ": give a smaller width"
        check_bytes(what, BYTES_PER_WEIGHT * least, "the weights of one block", remedy)
        log_std = 0.5 * math.log(self.schedule.betas[0])
        self.head = FixedGaussianHead(log_std, channels, name="head")
        self.first_cell = PureNoiseCell(self.schedule)
        self.cell = DiffusionCell(self.schedule, self.estimate, made_of.upper)
        self.build((None, *self.image_shape))
        self.freeze(frozen)

    def build(self, input_shape: Any) -> None:
        if not self.built:
            self.denoiser.build()
            self.head.build(input_shape)

    @functools.cached_property
    def levels(self) -> tuple[Level, ...]:
        groups = groups_of(self.schedule.num_steps)
        return tuple(Level(self.image_shape, self.image_shape[0], group=name) for name in groups)

    @property
    def decoded_prefixes(self) -> tuple[int, ...]:
        """All numbers of levels K: each latent has its estimate."""
        return tuple(range(1, self.num_levels + 1))

    def evidence(self, images: tf.Tensor, condition: GivenCondition) -> tf.Tensor:
        """Returns x_0: float32 [batch, height, width, channels] in [-1, 1]."""
        return units.signed_from_levels(images, bit_depth=8)

    def walk(
        self,
        plan: Plan,
        noise: Noise,
        num_images: Any,
        evidence: Any = None,
        condition: GivenCondition = UNCONDITIONAL,
        keep: Sequence[str] = (),
    ) -> Trace:
        start = tf.zeros((num_images, *self.image_shape))
        cells, shape = (self.first_cell, self.cell), self.image_shape
        trace = walk_shared(*cells, start, shape, self.num_levels, plan, noise, evidence, keep)
        return trace._replace(features=self.estimate(trace.features, tf.constant(1)))

    def estimate(self, x: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns xhat(x_t, t), [batch, height, width, channels].

        Args:
            x: x_t, float32 of that shape.
            step: t, int32 [] or [batch].
        """
        return self.clipped(self.unclipped_estimate(x, step))

    def clipped(self, estimate: tf.Tensor) -> tf.Tensor:
        """Returns an estimate as `clip` says."""
        if not self.diffusion.clip:
            return estimate
        # A pixel beyond the bounds is still drawn back.
        return tf.grad_pass_through(lambda pixels: tf.clip_by_value(pixels, -1.0, 1.0))(estimate)

    def unclipped_estimate(self, x: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns what the network takes the image to be; see `estimate`."""
        time = tf.cast(step - 1, tf.float32) * (PUBLISHED_STEPS / self.num_levels)
        signal, deviation = signal_and_deviation(self.schedule, step, x)
        predicted = self.denoiser(x, time)
        if self.diffusion.predicts == NOISE:
            return (x - deviation * predicted) / signal
        return signal * x - deviation * predicted

    # What a prefix decodes to.

    def prefix_reconstruction(
        self, images: tf.Tensor, noise: Noise, num_levels: Any, condition: Any = None
    ) -> tf.Tensor:
        """See `HierarchicalModel`. q needs no network, so this calls the denoiser once."""
        x_0 = self.evidence(images, UNCONDITIONAL)
        shape = (tf.shape(images)[0], *self.image_shape)

        def latent(cell, index, before):
            site = Site(tf.convert_to_tensor(index), shape)
            posterior = cell.posterior(before, None, x_0, site)
            return cell.absorb(x_0, posterior.from_noise(noise.normal(site.index, shape)))

        def body(index, before):
            return index + 1, latent(self.cell, index, before)

        start = (tf.constant(1), latent(self.first_cell, 0, x_0))
        _, last = tf.while_loop(lambda index, _: index < num_levels, body, start)
        return self.bounded(self.estimate(last, self.num_levels - num_levels + 1))

    def readout_of(self, num_levels: int, decoder: str | None = None) -> Callable | None:
        """Returns the own decoder of a prefix, function of its latents, or None for the prior's."""
        if self.decoder_of_prefix(num_levels, decoder) != inputs.OWN:
            return None
        step = tf.constant(self.num_levels - num_levels + 1)
        return lambda latents: self.bounded(self.estimate(latents[-1], step))

    def bounded(self, estimate: tf.Tensor) -> tf.Tensor:
        """Returns an estimate as an image in [-1, 1]."""
        return self.head.mean(self.head(estimate))

    def posterior_output(
        self,
        images: tf.Tensor,
        noise: Noise,
        condition: Any = None,
        keep_latents: bool = False,
        pointwise: bool = False,
    ) -> VDVAEOutput:
        """See `HierarchicalModel`; the rates also tell the error of every prefix."""
        output = super().posterior_output(images, noise, condition, keep_latents, pointwise)
        if pointwise:
            return output
        x_0 = self.evidence(images, UNCONDITIONAL)
        last = units.mean_per_example(tf.math.squared_difference(x_0, output.reconstruction))
        of_rates = self._mse_of_rates(output.rate_per_level[:, 1:])
        return output._replace(prefix_mse=tf.concat([of_rates, last[:, None]], axis=1))

    def _mse_of_rates(self, rates):
        """Returns the mean of (x_0 - xhat(x_t))^2, t = T ... 2, from L_{t-1}: [batch, T - 1]."""
        least, slope = self.schedule.rate_of_mse(self.diffusion.upper)
        per_dim = units.nats_per_dim(rates, self.image_shape)
        excess = tf.nn.relu(per_dim - least[::-1].astype(np.float32))
        return excess / slope[::-1].astype(np.float32)

    def training_output(
        self, images: tf.Tensor, noise: Noise, condition: Any = None
    ) -> VDVAEOutput:
        """Draws one level for each example; see `one_level_output`."""
        return one_level_output(self, images, noise)

    def weights_of_prefix(self, num_levels: int) -> dict:
        """Raises UserError: all levels share the denoiser."""
        raise UserError(f"{self.name}: no prefix has weights of its own: levels share the denoiser")

    def describe(self) -> tuple[StageDescription, ...]:
        width, num_latents = self.denoiser.width, math.prod(self.image_shape)
        row = LevelRow(self.image_shape[0], width, num_latents, 0)
        parts = {"denoiser": self.denoiser.count_params()}
        rows = (row,) * self.num_levels
        return (StageDescription(self.image_shape, None, self.num_levels, rows, parts),)

    def get_config(self) -> dict:
        return {
            "name": self.name,
            "dtype": self.dtype_policy.name,
            "image_shape": list(self.image_shape),
            "frozen": list(self.frozen_weights),
            **dataclasses.asdict(self.diffusion),
        }
