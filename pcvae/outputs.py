"""The records that cross the borders between modules, each field with its shape."""

from typing import NamedTuple

import tensorflow as tf


class Trace(NamedTuple):
    """What a walk through the levels leaves."""

    features: tf.Tensor  # [batch, ...], what the head sees
    latents: tuple  # one [batch, ...] for each level; empty if not kept
    rate_per_level: tf.Tensor  # [batch, levels] nats; zero where a latent was not inferred
    kept: dict = {}  # {"prior_noise" | "rate_map": one tensor of the latent's shape per level}
    # {last level of a stage: its own image [batch, height, width, channels] in [-1, 1]}, of the
    # stages before the last.
    stage_reconstructions: dict = {}


class DrawnLevel(NamedTuple):
    """The one level of each example that a step of training has drawn, of a diffusion model."""

    snr: tf.Tensor  # [batch] signal-to-noise ratio of what the denoiser has seen
    estimate: tf.Tensor  # [batch, height, width, channels], what it takes the image to be


class VDVAEOutput(NamedTuple):
    """What a hierarchical VAE returns for a batch of images."""

    head_params: tf.Tensor  # [batch, height, width, parameters of the head]
    reconstruction: tf.Tensor  # [batch, height, width, channels], mean of the head, in [-1, 1]
    latents: tuple  # one [batch, side, side, latent_width] for each level; empty if not kept
    rate_per_level: tf.Tensor  # [batch, levels] nats
    nll: tf.Tensor | None  # [batch] nats; None for a head without a likelihood
    # {K: float32 [batch, height, width, channels] in [-1, 1]}, what the decoder d_K of each prefix
    # makes of z_1:K; empty for a model that has none.
    prefix_reconstructions: dict = {}
    # The same of each earlier stage of a composed model: {its last level: its own image}.
    stage_reconstructions: dict = {}
    # [batch, levels] mean squared error of the model's own decoder of each prefix z_1:K, of a model
    # that has one for every K.
    prefix_mse: tf.Tensor | None = None
    # What `rate_per_level`, `nll` and `reconstruction` are estimates by, in training by one level.
    drawn_level: DrawnLevel | None = None
    # [batch] nats that training minimises in place of nll; None for a head that has no such thing.
    surrogate: tf.Tensor | None = None

    @property
    def reconstruction_nats(self) -> tf.Tensor | None:
        """[batch] nats: the term beside the rate that training minimises."""
        return self.nll if self.surrogate is None else self.surrogate


class Constraint(NamedTuple):
    """A bound on a quantity, to be met with equality where the model can."""

    quantity: str  # "rate_nats_per_dim" or "distortion_mse"
    target: float  # in the unit that the quantity names
    num_levels: int | None = None  # of the prefix whose rate is bounded; None for all levels
    unit: str | None = None  # in which the target was given; None for that of the quantity


class ObjectiveTerms(NamedTuple):
    """What an objective returns for a batch. The rate is the true one, whatever the loss does."""

    loss: tf.Tensor  # [batch] what is minimised, nats per dimension unless the objective says so
    rate: tf.Tensor  # [batch] nats
    distortion: tf.Tensor  # [batch] mean squared error on [-1, 1]
    metrics: dict  # name with unit -> [batch]
    constraint_gaps: tf.Tensor | None = None  # [batch, constraints] value - target, own units
    constraints: tuple[Constraint, ...] = ()  # in the order of the gaps
