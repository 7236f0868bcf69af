"""Several models as one: each stage is conditioned on what the stages before it have made."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from pcvae.distributions.noise import Noise, SeededNoise, make_seed, seeded_noise
from pcvae.errors import UserError
from pcvae.layers.plan import Plan, Posterior
from pcvae.layers.residual import upsampled
from pcvae.layers.walk import LATENT
from pcvae.models.base import HierarchicalModel
from pcvae.models.batches import in_batches
from pcvae.models.conditions import FEATURES, UNCONDITIONAL, GivenCondition
from pcvae.models.description import Level, StageDescription
from pcvae.models.registry import register, registered_models
from pcvae.models.stage_order import (
    RECONSTRUCTION,
    check_stages,
    noise_of_stage,
    within_bounds,
    without_gradient,
)
from pcvae.models.weights import copy_weights
from pcvae.outputs import Trace, VDVAEOutput


@register
class StagedVAE(HierarchicalModel):
    """A hierarchical VAE composed of stages (Shu and Ermon 2022, section 5.1).

    The first stage is a `VDVAE`; each later one a `ConditionalVDVAE` of the original image given
    what the stages before it make of their latents. So p(x, z) = p(z^1) p(z^2 | z^1) ... p(x | z)
    and q(z | x) = q(z^1 | x) q(z^2 | x, z^1) ..., the levels of all stages being the levels of the
    whole, coarsest stage first: rates add up, and a prefix may end anywhere. The last stage's
    head gives p(x | z).

    Offers what a `VDVAE` offers, with the same arguments.

    Args:
        stages: the models, in their order, of one image shape.
        later_stages_see: what a later stage is given: "reconstruction", the image that the stage
            before it makes of its latents (the paper), or "features", the latents z_1:K of all
            stages before it, repeated up to the size of the image.
        frozen: names of weights that are held, beside what the stages hold; see `freeze`.

    Raises:
        UserError: the stages do not fit together.
    """

    def __init__(
        self,
        stages: Sequence[HierarchicalModel],
        later_stages_see: str = RECONSTRUCTION,
        frozen: Iterable[str] = (),
        *,
        name: str = "staged_vae",
        dtype: Any = None,
    ) -> None:
        check_stages(list(stages), later_stages_see)
        super().__init__(stages[0].image_shape, name=name, dtype=dtype)
        self.stages, self.later_stages_see = list(stages), later_stages_see
        self.built = True
        self.freeze(frozen)

    @property
    def head(self) -> keras.layers.Layer:
        """The head of the last stage."""
        return self.stages[-1].head

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels of all stages, stage by stage, coarsest first within each."""
        return tuple(
            level._replace(stage=index)
            for index, stage in enumerate(self.stages)
            for level in stage.levels
        )

    @property
    def rates_of_prefixes_are_exact(self) -> bool:
        """Whether those of all stages are."""
        return all(stage.rates_of_prefixes_are_exact for stage in self.stages)

    @property
    def named_weights(self) -> dict:
        """{name: variable} of all weights: ``stage_0/encoder/...``."""
        return {
            f"stage_{index}/{name}": weight
            for index, stage in enumerate(self.stages)
            for name, weight in stage.named_weights.items()
        }

    def weights_of_prefix(self, num_levels: int) -> dict:
        """See `HierarchicalModel`; a stage behind another needs all of that."""
        weights = {}
        for index, (stage, end) in enumerate(zip(self.stages, self.stage_ends, strict=True)):
            inside = num_levels - (end - stage.num_levels)
            if inside <= 0:
                break
            whole = inside >= stage.num_levels and num_levels > end
            own = stage.named_weights if whole else stage.weights_of_prefix(inside)
            weights |= {f"stage_{index}/{name}": weight for name, weight in own.items()}
        return weights

    @property
    def num_frozen_stages(self) -> int:
        """Number of the first stages that are held whole."""
        trained = {int(name.split("/")[0].removeprefix("stage_")) for name in self.trained_weights}
        return min(trained, default=len(self.stages))

    def freeze_stages(self, num_stages: int) -> None:
        """Holds the first stages; the trainers then move the others alone."""
        roots = tuple(f"stage_{index}/" for index in range(num_stages))
        self.freeze([name for name in self.named_weights if name.startswith(roots)])

    def twin(self) -> Self:
        """Returns a model of the same configuration that shares the frozen stages."""
        frozen = self.num_frozen_stages
        fresh = [stage.twin() for stage in self.stages[frozen:]]
        stages = [*self.stages[:frozen], *fresh]
        twin = type(self)(stages, self.later_stages_see, name=self.name)
        copy_weights(self.frozen_weights, twin)
        return twin

    def pixel_noise(self, noise: Noise) -> Noise:
        """Returns the noise that the head of the last stage draws pixels with."""
        return self._noise(noise, len(self.stages) - 1)

    def call(
        self,
        images: tf.Tensor,
        noise: Noise | None = None,
        keep_latents: bool = False,
        condition: Any = None,
        earlier_rates: tf.Tensor | None = None,
        training: bool = False,
        pointwise: bool = False,
    ) -> VDVAEOutput:
        """The posterior walk.

        Args:
            images: uint8 [batch, height, width, channels].
            noise: a `SeededNoise`; by default that of seed 0.
            keep_latents: whether the output holds the latents.
            condition: what the last stage is given, if it was computed before: then no other stage
                is run. See `earlier_pass`.
            earlier_rates: [batch, levels of the other stages] nats that came with it.
            training: whether this is a step of training.
            pointwise: see `Posterior`.

        Returns:
            A `VDVAEOutput` of the whole.

        Raises:
            UserError: pointwise rates are asked for, and those of other stages are known alone.
        """
        noise = seeded_noise(0) if noise is None else noise
        if condition is None:
            return super().call(images, noise, keep_latents, None, training, pointwise)
        if pointwise:
            raise UserError(
                "cache_first_stage: importance weights take new latents of every stage: leave it "
                "out, or take NegativeELBO"
            )
        here = self.pixel_noise(noise)
        output = self.stages[-1].call(images, here, keep_latents, condition, training)
        rates = tf.concat([earlier_rates, output.rate_per_level], axis=1)
        return output._replace(rate_per_level=rates)

    def evidence(self, images: tf.Tensor, condition: GivenCondition) -> tf.Tensor:
        """Returns the images: each stage makes its evidence of them and of its own condition."""
        return images

    def walk(
        self,
        plan: Plan,
        noise: Noise,
        num_images: Any,
        evidence: Any = None,
        condition: GivenCondition = UNCONDITIONAL,
        keep: Sequence[str] = (),
    ) -> Trace:
        """A walk of walks: each stage walks its levels, given what those before it have made."""
        outputs, seen = self._earlier(plan, noise, num_images, evidence, keep)
        index, last = len(self.stages) - 1, self.stages[-1]
        here = self._noise(noise, index)
        own = plan.at(self._slice(index))
        trace = last.trace(own, here, evidence, seen, num_images, keep)
        traces = [trace for trace, _ in outputs] + [trace]
        joined = itertools.chain.from_iterable
        images = (image for _, image in outputs)
        return Trace(
            features=trace.features,
            latents=tuple(joined(part.latents for part in traces)) if LATENT in keep else (),
            rate_per_level=tf.concat([part.rate_per_level for part in traces], axis=1),
            kept={name: tuple(joined(part.kept[name] for part in traces)) for name in trace.kept},
            stage_reconstructions=dict(zip(self.stage_ends, images, strict=False)),
        )

    def _earlier(self, plan, noise, num_images, images, keep=()):
        """Walks all stages but the last.

        Returns:
            [(trace, its image)] of each, and what the last stage is given.
        """
        if self.later_stages_see == FEATURES:
            keep = (*keep, LATENT) if LATENT not in keep else keep
        outputs, seen, num_frozen = [], None, self.num_frozen_stages
        for index, stage in enumerate(self.stages[:-1]):
            here, own = self._noise(noise, index), plan.at(self._slice(index))
            trace = stage.trace(own, here, images, seen, num_images, keep)
            image = stage.head.mean(stage.head(trace.features))
            if index < num_frozen:
                trace, image = without_gradient(trace, image)
            outputs.append((trace, image))
            seen = self._seen(outputs)
        return outputs, seen

    def _seen(self, outputs):
        """Returns what the next stage is given."""
        if self.later_stages_see == RECONSTRUCTION:
            return within_bounds(outputs[-1][1])
        side = self.image_shape[0]
        latents = itertools.chain.from_iterable(trace.latents for trace, _ in outputs)
        return tf.concat([upsampled(z, side // z.shape[1]) for z in latents], axis=-1)

    def _slice(self, index):
        """Returns the slice of the levels of a stage."""
        end = self.stage_ends[index]
        return slice(end - self.stages[index].num_levels, end)

    def _noise(self, noise, index):
        return noise_of_stage(noise, index, self._slice(index))

    def earlier_pass(self, images: tf.Tensor, noise: Noise) -> tuple[Any, tf.Tensor]:
        """Returns what the last stage is given for images, from the posterior of the others.

        Args:
            images: uint8 [batch, height, width, channels].
            noise: a `SeededNoise`.

        Returns:
            The condition, float32 [batch, height, width, channels], and the rates of the other
            stages, float32 [batch, levels] nats.
        """
        outputs, condition = self._earlier(Posterior(), noise, tf.shape(images)[0], images)
        return condition, tf.concat([trace.rate_per_level for trace, _ in outputs], axis=1)

    def earlier_conditions(
        self,
        images: np.ndarray,
        seed: Any = 0,
        batch_size: int = 64,
        progress: Callable | None = None,
    ) -> dict[str, np.ndarray]:
        """Computes what the last stage is given for images, uint8 [num_images, ...], once for all.

        One posterior sample per image, rounded to 8 bits where it is an image. ``progress`` may
        wrap the range of batches that is iterated over.

        Returns:
            {"condition": [num_images, ...], "earlier_rates": float32 [num_images, levels] nats},
            the arguments of `call`.
        """
        last, seed = self.stages[-1].condition, make_seed(seed)

        def run(batch, first_image):
            condition, rates = self.earlier_pass(batch, SeededNoise(seed, first_image))
            return {"condition": last.rounded(condition), "earlier_rates": rates}

        signature = (self._runner.images, tf.TensorSpec((), tf.int64))
        graph = tf.function(run, input_signature=signature, autograph=False)

        def batch(here):
            return graph(np.asarray(images[here]), here.start)

        return in_batches(batch, len(images), batch_size, progress=progress)

    def describe(self) -> tuple[StageDescription, ...]:
        return tuple(description for stage in self.stages for description in stage.describe())

    def get_config(self) -> dict:
        stages = [{"class": type(s).__name__, "config": s.get_config()} for s in self.stages]
        return {
            "name": self.name,
            "dtype": self.dtype_policy.name,
            "stages": stages,
            "later_stages_see": self.later_stages_see,
        }

    @classmethod
    def from_config(cls, config: dict) -> Self:
        known = registered_models()
        stages = [known[s["class"]].from_config(s["config"]) for s in config["stages"]]
        return cls(**{**config, "stages": stages})
