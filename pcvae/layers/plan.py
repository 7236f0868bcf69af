"""Plans: level by level, where a latent comes from. A walk asks its plan for every latent.

A plan says at tracing time whether it reads evidence, so that a walk from the prior has no
posterior in its graph. What differs from level to level is a tensor [levels, ...], which a walk
slices for its stacks and a composed model for its stages.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from pcvae.distributions.gaussian import DiagonalGaussian, pointwise_rate_nats, rate_nats
from pcvae.distributions.noise import Noise
from pcvae.layers.cells.cell import Site

# Where the latent of a level comes from in an edit.
PRIOR, POSTERIOR, GIVEN = range(3)


class Plan(Protocol):
    """Where the latents of a walk come from."""

    reads_evidence: bool

    def at(self, levels: slice) -> "Plan":
        """Returns the plan of a part of the levels, as if they were all."""
        ...

    def inputs(self) -> tuple:
        """Returns the tensors [levels, ...] of which `draw` gets the slices of its level."""
        ...

    def draw(
        self,
        site: Site,
        prior: DiagonalGaussian,
        posterior: DiagonalGaussian | None,
        noise: Noise,
        *inputs: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the latent of a level, [batch, ...], and its rate, [batch] nats.

        The rate is KL(q || p), and zero where the latent was not inferred.
        """
        ...


def of_level(plan: Plan, index: int) -> tuple[Plan, list[tf.Tensor]]:
    """Returns the plan of one level, and the inputs of its `draw`."""
    own = plan.at(slice(index, index + 1))
    return own, [values[0] for values in own.inputs()]


class Posterior(NamedTuple):
    """Every latent from q(z_i | x, z_<i)."""

    # Whether rates are log q(z_i) - log p(z_i) at the latents that are drawn, as importance weights
    # take them, instead of KL divergences, which are the expectations of these.
    pointwise: bool = False
    reads_evidence: bool = True

    def at(self, levels: slice) -> "Posterior":
        return self

    def inputs(self) -> tuple:
        return ()

    def draw(
        self, site: Site, prior: DiagonalGaussian, posterior: DiagonalGaussian, noise: Noise
    ) -> tuple[tf.Tensor, tf.Tensor]:
        latent = posterior.from_noise(noise.normal(site.index, site.shape))
        if self.pointwise:
            return latent, pointwise_rate_nats(posterior, prior, latent)
        return latent, rate_nats(posterior, prior)


class Prior(NamedTuple):
    """Every latent from p(z_i | z_<i), whose standard deviation is scaled."""

    temperature: tf.Tensor  # [levels]
    reads_evidence: bool = False

    def at(self, levels: slice) -> "Prior":
        return self._replace(temperature=self.temperature[levels])

    def inputs(self) -> tuple:
        return (self.temperature,)

    def draw(
        self,
        site: Site,
        prior: DiagonalGaussian,
        posterior: DiagonalGaussian | None,
        noise: Noise,
        temperature: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        latent = prior.from_noise(noise.normal(site.index, site.shape), temperature)
        return latent, zero_rate(latent)


class Given(NamedTuple):
    """Every latent is given; with evidence the rates are those of the posterior at its place."""

    latents: tuple  # one [batch, ...] for each level
    reads_evidence: bool = False

    def at(self, levels: slice) -> "Given":
        return self._replace(latents=self.latents[levels])

    def inputs(self) -> tuple:
        return (tf.stack(self.latents),)

    def draw(
        self,
        site: Site,
        prior: DiagonalGaussian,
        posterior: DiagonalGaussian | None,
        noise: Noise,
        latent: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        rate = zero_rate(latent) if posterior is None else rate_nats(posterior, prior)
        return latent, rate


class Mixed(NamedTuple):
    """Each level from a source of its own: the prior, unless it is inferred or given."""

    temperature: tf.Tensor  # [levels], of those from the prior
    inferred: tf.Tensor | None = None  # [levels] bool, those from the posterior; None for none
    given: tf.Tensor | None = None  # [levels] bool, those that are given; None for none
    latents: tuple = ()  # one [batch, ...] for each level, if some are given

    @property
    def reads_evidence(self) -> bool:
        """Whether some level may come from the posterior."""
        return self.inferred is not None

    def at(self, levels: slice) -> "Mixed":
        flags = (None if flag is None else flag[levels] for flag in (self.inferred, self.given))
        return Mixed(self.temperature[levels], *flags, self.latents[levels])

    def inputs(self) -> tuple:
        inferred = () if self.inferred is None else (self.inferred,)
        given = () if self.given is None else (self.given, tf.stack(self.latents))
        return (self.temperature, *inferred, *given)

    def draw(
        self,
        site: Site,
        prior: DiagonalGaussian,
        posterior: DiagonalGaussian | None,
        noise: Noise,
        temperature: tf.Tensor,
        *inputs: Any,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        drawn = noise.normal(site.index, site.shape)
        latent = prior.from_noise(drawn, temperature)
        rate = zero_rate(latent)
        given_inputs: Sequence[tf.Tensor] = inputs
        if posterior is not None:
            inferred, *given_inputs = inputs
            latent = tf.where(inferred, posterior.from_noise(drawn), latent)
            rate = tf.where(inferred, rate_nats(posterior, prior), rate)
        if given_inputs:
            given, own = given_inputs
            latent = tf.where(given, own, latent)
        return latent, rate


def inferring(plan: Plan) -> Plan:
    """Returns the plan that takes what another has as given, and the rest from the posterior."""
    if isinstance(plan, Mixed):
        return plan._replace(inferred=tf.ones_like(plan.temperature, tf.bool))
    return plan


def posterior_prefix(num_levels: tf.Tensor, temperature: tf.Tensor) -> Mixed:
    """Returns the plan of a prefix: z_1:K from the posterior, the rest from the prior.

    Args:
        num_levels: K, an integer tensor in 0..levels.
        temperature: [levels].
    """
    return Mixed(temperature, inferred=tf.range(temperature.shape[0]) < num_levels)


def given_prefix(latents: tuple, num_given: tf.Tensor, temperature: tf.Tensor) -> Mixed:
    """Returns the plan that takes the first latents as given and the rest from the prior.

    Args:
        latents: one [batch, ...] for each level; what stands after the given ones is not read.
        num_given: how many of them count as given, an integer tensor.
        temperature: [levels].
    """
    given = tf.range(temperature.shape[0]) < num_given
    return Mixed(temperature, given=given, latents=latents)


def edited(latents: tuple, sources: tf.Tensor, temperature: tf.Tensor) -> Mixed:
    """Returns the plan of an edit.

    Args:
        latents: one [batch, ...] for each level; those that are not given are not read.
        sources: [levels] int32, PRIOR, POSTERIOR or GIVEN.
        temperature: [levels].
    """
    return Mixed(temperature, sources == POSTERIOR, sources == GIVEN, latents)


def zero_rate(latent: tf.Tensor) -> tf.Tensor:
    """Returns a rate of zero for each example: float32 [batch]."""
    return tf.zeros_like(latent[(slice(None), *(0 for _ in latent.shape[1:]))])
