"""Several models as one: each stage is conditioned on what the stages before it have made."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from pcvae.distributions.noise import SeededNoise, make_seed, seeded_noise
from pcvae.models.condition import FEATURES, upsampled
from pcvae.models.conditional import ConditionalVDVAE
from pcvae.models.editing import StagedEditingPasses
from pcvae.models.fitting import Fitting, metrics_in_bits_per_dim
from pcvae.models.inference import Inference
from pcvae.models.stage_order import (
    RECONSTRUCTION,
    check_stages,
    noise_of_stage,
    within_bounds,
    without_gradient,
)
from pcvae.models.vdvae import VDVAE
from pcvae.models.weights import NamedWeights

# What a configuration may name as a stage.
STAGE_CLASSES = {"VDVAE": VDVAE, "ConditionalVDVAE": ConditionalVDVAE}


@keras.saving.register_keras_serializable(package="pcvae")
class StagedVAE(StagedEditingPasses, Inference, Fitting, NamedWeights, keras.Model):
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

    Raises:
        UserError: the stages do not fit together.
    """

    def __init__(self, stages, later_stages_see=RECONSTRUCTION, **kwargs):
        kwargs.setdefault("name", "staged_vae")
        super().__init__(**kwargs)
        self.stages, self.later_stages_see = list(stages), later_stages_see
        check_stages(self.stages, later_stages_see)
        self.image_shape = self.stages[0].image_shape
        self.num_frozen_stages = 0
        self._metrics_in_bits_per_dim = metrics_in_bits_per_dim()
        self.built = True

    @property
    def head(self):
        """The head of the last stage."""
        return self.stages[-1].head

    @property
    def num_levels(self):
        """Number of levels of latents of all stages."""
        return self.stage_ends[-1]

    @property
    def stage_ends(self):
        """Number of levels up to and with each stage."""
        return tuple(itertools.accumulate(stage.num_levels for stage in self.stages))

    @property
    def level_resolutions(self):
        """Resolution of each level, stage by stage, coarsest first within each."""
        return tuple(side for stage in self.stages for side in stage.level_resolutions)

    @property
    def latent_shapes(self):
        """(side, side, latent_width) of each level."""
        return tuple(shape for stage in self.stages for shape in stage.latent_shapes)

    @property
    def prefixes(self):
        """Numbers of levels K at which a resolution of a stage is complete."""
        starts = (0, *self.stage_ends)
        return tuple(
            start + num_levels
            for start, stage in zip(starts, self.stages, strict=False)
            for num_levels in stage.prefixes
        )

    @property
    def decoded_prefixes(self):
        """Numbers of levels of the prefixes that the whole model decodes: all levels."""
        return (self.num_levels,)

    @property
    def named_weights(self):
        """{name: variable} of all weights: ``stage_0/encoder/...``."""
        return {
            f"stage_{index}/{name}": weight
            for index, stage in enumerate(self.stages)
            for name, weight in stage.named_weights.items()
        }

    def freeze_stages(self, num_stages):
        """Holds the first stages; the trainers then move the others alone."""
        self.num_frozen_stages = num_stages
        roots = tuple(f"stage_{index}/" for index in range(num_stages))
        self.freeze([name for name in self.named_weights if name.startswith(roots)])

    def twin(self):
        """Returns a model of the same configuration that shares the frozen stages."""
        frozen = self.num_frozen_stages
        fresh = [stage.twin() for stage in self.stages[frozen:]]
        return type(self)([*self.stages[:frozen], *fresh], self.later_stages_see, name=self.name)

    def read_condition(self, condition):
        """Checks the condition of the first stage, which takes none."""
        self.stages[0].read_condition(condition)

    def __call__(self, images, *args, **kwargs):
        """Checks the images, then calls the layer; see `VDVAE.__call__`."""
        return super().__call__(self.check_batch(images), *args, **kwargs)

    def call(self, images, noise=None, keep_latents=False, condition=None, earlier_rates=None):
        """The posterior pass.

        Args:
            images: uint8 [batch, height, width, channels].
            noise: a `SeededNoise`; by default that of seed 0.
            keep_latents: whether the output holds the latents.
            condition: what the last stage is given, if it was computed before: then no other stage
                is run. See `earlier_pass`.
            earlier_rates: [batch, levels of the other stages] nats that came with it.

        Returns:
            A `VDVAEOutput` of the whole.
        """
        noise = seeded_noise(0) if noise is None else noise
        if condition is None:
            return self.posterior_pass(images, noise, keep_latents)
        here = noise_of_stage(noise, len(self.stages) - 1)
        output = self.stages[-1].posterior_pass(images, here, keep_latents, condition)
        rates = tf.concat([earlier_rates, output.rate_per_level], axis=1)
        return output._replace(rate_per_level=rates)

    def posterior_pass(self, images, noise, keep_latents=False, condition=None, pointwise=False):
        """Draws every latent from the posterior; see `VDVAE.posterior_pass`."""
        self.read_condition(condition)
        return self._whole(self._run(self._posterior(images, noise, keep_latents, pointwise))[0])

    def earlier_pass(self, images, noise):
        """Gives what the last stage is given for images, from the posterior of the others.

        Args:
            images: uint8 [batch, height, width, channels].
            noise: a `SeededNoise`.

        Returns:
            The condition, float32 [batch, height, width, channels], and the rates of the other
            stages, float32 [batch, levels] nats.
        """
        outputs, condition = self._run(self._posterior(images, noise, False), self.stages[:-1])
        return condition, tf.concat([output.rate_per_level for output in outputs], axis=1)

    def earlier_conditions(self, images, seed=0, batch_size=64, progress=None):
        """Computes what the last stage is given for images, uint8 [num_images, ...], once for all.

        One posterior sample an image, rounded to 8 bits where it is an image. ``progress`` may
        wrap the range of batches that is iterated over.

        Returns:
            {"condition": [num_images, ...], "earlier_rates": float32 [num_images, levels] nats},
            the arguments of `call`.
        """
        last, seed = self.stages[-1].condition, make_seed(seed)

        def run(batch, first_image):
            condition, rates = self.earlier_pass(batch, SeededNoise(seed, first_image))
            return last.rounded(condition), rates

        first = tf.TensorSpec((), tf.int64)
        graph = tf.function(run, input_signature=(self._image_spec, first), autograph=False)
        starts = range(0, len(images), batch_size)
        parts = [
            graph(np.asarray(images[start : start + batch_size]), start)
            for start in (progress(starts) if progress else starts)
        ]
        conditions, rates = (np.concatenate(column) for column in zip(*parts, strict=True))
        return {"condition": conditions, "earlier_rates": rates}

    def prefix_pass(
        self, images, noise, temperature, num_levels, keep_latents=False, condition=None
    ):
        """Draws z_1:K from the posterior and the rest from the prior; see `VDVAE.prefix_pass`."""
        self.read_condition(condition)
        kept = keep_latents or self.later_stages_see == FEATURES

        def run(stage, index, condition):
            levels = self._levels(index)
            inside = tf.clip_by_value(num_levels - levels.start, 0, stage.num_levels)
            here = noise_of_stage(noise, index)
            return stage.prefix_pass(images, here, temperature[levels], inside, kept, condition)

        return self._whole(self._run(run)[0])

    def prior_pass(self, num_samples, noise, temperature, keep_latents=False, condition=None):
        """Draws every latent from the prior; see `VDVAE.prior_pass`."""
        self.read_condition(condition)
        kept = keep_latents or self.later_stages_see == FEATURES

        def run(stage, index, condition):
            here = noise_of_stage(noise, index)
            return stage.prior_pass(
                num_samples, here, temperature[self._levels(index)], kept, condition
            )

        return self._whole(self._run(run)[0])

    def latent_pass(self, latents, noise, temperature, num_given=None, condition=None):
        """Takes the first latents as given, the rest from the prior; see `VDVAE.latent_pass`."""
        self.read_condition(condition)
        num_given = len(latents) if num_given is None else num_given
        num_images = tf.shape(latents[0])[0]

        def run(stage, index, condition):
            levels, here = self._levels(index), noise_of_stage(noise, index)
            own = latents[levels]
            if not own:
                return stage.prior_pass(num_images, here, temperature[levels], True, condition)
            inside = tf.clip_by_value(num_given - levels.start, 0, stage.num_levels)
            return stage.latent_pass(own, here, temperature[levels], inside, condition)

        return self._whole(self._run(run)[0])

    def draw(self, num_samples, noise, temperature, condition=None):
        """Draws images, uint8 [num_samples, height, width, channels]: latents, then pixels."""
        output = self.prior_pass(num_samples, noise, temperature, condition=condition)
        return self.head.sample(output.head_params, noise_of_stage(noise, len(self.stages) - 1))

    def _levels(self, index):
        """Returns the slice of the levels of a stage."""
        end = self.stage_ends[index]
        return slice(end - self.stages[index].num_levels, end)

    def _posterior(self, images, noise, keep_latents, pointwise=False):
        """Returns what `_run` takes for the posterior pass."""
        kept = keep_latents or self.later_stages_see == FEATURES

        def run(stage, index, condition):
            here = noise_of_stage(noise, index)
            return stage.posterior_pass(images, here, kept, condition, pointwise)

        return run

    def _run(self, run, stages=None):
        """Runs stages one after the other; gives their outputs and what a next one is given."""
        outputs, condition = [], None
        for index, stage in enumerate(stages or self.stages):
            output = run(stage, index, condition)
            frozen = index < self.num_frozen_stages
            outputs.append(without_gradient(output) if frozen else output)
            condition = self._seen(outputs)
        return outputs, condition

    def _whole(self, outputs):
        """Returns the output of the whole model."""
        earlier = [output.reconstruction for output in outputs[:-1]]
        return outputs[-1]._replace(
            latents=tuple(itertools.chain.from_iterable(output.latents for output in outputs)),
            rate_per_level=tf.concat([output.rate_per_level for output in outputs], axis=1),
            stage_reconstructions=dict(zip(self.stage_ends, earlier, strict=False)),
        )

    def _seen(self, outputs):
        """Returns what the next stage is given."""
        if self.later_stages_see == RECONSTRUCTION:
            return within_bounds(outputs[-1].reconstruction)
        side = self.image_shape[0]
        latents = itertools.chain.from_iterable(output.latents for output in outputs)
        return tf.concat([upsampled(z, side // z.shape[1]) for z in latents], axis=-1)

    def get_config(self):
        stages = [{"class": type(s).__name__, "config": s.get_config()} for s in self.stages]
        return {
            "name": self.name,
            "dtype": self.dtype_policy.name,
            "stages": stages,
            "later_stages_see": self.later_stages_see,
        }

    @classmethod
    def from_config(cls, config):
        stages = [STAGE_CLASSES[s["class"]].from_config(s["config"]) for s in config["stages"]]
        return cls(**{**config, "stages": stages})
