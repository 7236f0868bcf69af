"""The top-down decoder: every level of latents, coarsest first (Child 2020, figure 3)."""

from typing import NamedTuple

import keras
import tensorflow as tf

from pcvae.layers.top_down import DeterministicLevel, TopDownLevel
from pcvae.layers.top_down_pass import TopDownPass, batch_size_of
from pcvae.outputs import DecoderOutput


class UnsharedActivations(NamedTuple):
    """Activations of two encoders: one for the posterior of a prefix, one for that of the rest."""

    prefix: dict  # {resolution: [batch, r, r, width]}, for levels before `num_levels`
    rest: dict  # {resolution: [batch, r, r, width]}, for the others
    num_levels: int

    def at(self, group):
        """Returns the activations that the levels of a group see."""
        own = self.prefix if group.first_level < self.num_levels else self.rest
        return own[group.resolution]


@keras.saving.register_keras_serializable(package="pcvae")
class Decoder(TopDownPass):
    """Levels z_1 ... z_L from coarse to fine; gives features at the resolution of the image.

    One pass has four forms that share all weights: `infer` (posterior), `generate` (prior),
    `infer_prefix` (posterior up to level K, prior below) and `decode` (latents given).

    Args:
        blocks: the layer string; see `TopDownPass`, also for the arguments that are not listed.
        width: channels at every resolution that `width_per_resolution` does not name.
        gated: whether a condition enters every level through a gate that starts closed. The
            passes then take `condition`, {resolution: [batch, r or 1, r or 1, width]}.
        **kwargs: the other arguments of `TopDownPass`, and those of a Keras layer.

    Raises:
        UserError: the arguments do not fit together.
    """

    def __init__(self, blocks, width, gated=False, **kwargs):
        super().__init__(blocks, width, **kwargs)
        self.gated = gated

    def _make_level(self, group, **arguments):
        if self.has_latents(group):
            return TopDownLevel(latent_width=self.latent_width, gated=self.gated, **arguments)
        return DeterministicLevel(gated=self.gated, **arguments)

    def call(self, activations, noise):
        """The posterior pass; see `infer`."""
        return self.infer(activations, noise)

    def infer(self, activations, noise, keep_latents=False, condition=None, pointwise=False):
        """Draws every latent from the posterior.

        Args:
            activations: {resolution: [batch, r, r, width]}, the encoder's, or an
                `UnsharedActivations`.
            noise: a `SeededNoise` or `GivenNoise`; level i draws at site i.
            keep_latents: whether the latents are returned.
            condition: for a gated decoder, {resolution: features}.
            pointwise: whether the rates are log q(z_i) - log p(z_i) at the latents that are drawn,
                whose expectations are the KL divergences, instead of those.

        Returns:
            A `DecoderOutput`.
        """

        def step(level, features, index, group):
            here = _at(activations, group)
            return level.infer(features, here, self._noise(noise, index, features), pointwise)

        return self._descend(
            _batch_size(activations), step, keep_latents=keep_latents, condition=condition
        )

    def infer_prefix(
        self, activations, noise, temperature, num_levels, keep_latents=False, condition=None
    ):
        """Draws the first `num_levels` latents from the posterior and the rest from the prior.

        Args:
            activations: as in `infer`.
            noise: as in `infer`.
            temperature: [levels], scales the prior's standard deviation.
            num_levels: the prefix K, an integer tensor in 0..levels.
            keep_latents: whether the latents are returned.
            condition: as in `infer`.

        Returns:
            A `DecoderOutput`; rates below the prefix are zero.
        """

        def step(level, features, index, group, temperature, from_posterior):
            return level.infer_or_generate(
                features,
                _at(activations, group),
                self._noise(noise, index, features),
                temperature,
                from_posterior,
            )

        from_posterior = tf.range(self.num_levels) < num_levels
        return self._descend(
            _batch_size(activations),
            step,
            (temperature, from_posterior),
            keep_latents,
            condition=condition,
        )

    def generate(self, batch_size, noise, temperature, keep_latents=False, condition=None):
        """Draws every latent from the prior; `temperature` is [levels]."""

        def step(level, features, index, group, temperature):
            return level.generate(features, self._noise(noise, index, features), temperature)

        return self._descend(batch_size, step, (temperature,), keep_latents, condition=condition)

    def decode(self, latents, noise, temperature, num_given=None, condition=None):
        """Takes the first latents as given and draws the rest from the prior.

        Args:
            latents: tuple of at most `num_levels` tensors [batch, r, r, latent_width].
            noise: as in `infer`, for the levels that are not given.
            temperature: [levels], for the levels that are not given.
            num_given: how many of the latents count as given, the first ones, an integer tensor;
                by default all of them.
            condition: as in `infer`.

        Returns:
            A `DecoderOutput` with rates zero.
        """
        batch_size = tf.shape(latents[0])[0]

        def step(level, features, index, group, temperature, given, latent):
            noise_here = self._noise(noise, index, features)
            return level.decode(features, latent, given, noise_here, temperature)

        num_given = len(latents) if num_given is None else num_given
        given = tf.range(self.num_levels) < num_given
        shapes = [(batch_size, side, side, self.latent_width) for side in self.resolutions]
        latents = (*latents, *(tf.zeros(shape) for shape in shapes[len(latents) :]))
        return self._descend(batch_size, step, (temperature, given), True, latents, condition)

    def edit(self, activations, latents, noise, temperature, sources, condition=None):
        """Takes each latent from a source of its own.

        Args:
            activations: as in `infer`.
            latents: tuple of a tensor [batch, r, r, latent_width] for every level.
            noise: as in `infer`, for the levels that are not given.
            temperature: [levels], for the levels from the prior.
            sources: [levels], integers: PRIOR, POSTERIOR or GIVEN of `layers.top_down`.
            condition: as in `infer`.

        Returns:
            A `DecoderOutput` with rates zero.
        """

        def step(level, features, index, group, temperature, source, latent):
            noise_here = self._noise(noise, index, features)
            here = _at(activations, group)
            return level.edit(features, here, latent, noise_here, temperature, source)

        per_level = (temperature, sources)
        return self._descend(_batch_size(activations), step, per_level, True, latents, condition)

    def rate_maps(self, activations, latents, condition=None):
        """Gives the rate of each number of latents that are given, as the latents of its output.

        Args:
            activations: as in `infer`.
            latents: tuple of a tensor [batch, r, r, latent_width] for every level.
            condition: as in `infer`.

        Returns:
            A `DecoderOutput`; its rates are those of `infer` where that draws these latents.
        """

        def step(level, features, index, group, latent):
            return level.rate_map(features, _at(activations, group), latent)

        return self._descend(_batch_size(activations), step, (), True, latents, condition)

    def noise_of(self, latents, condition=None):
        """Gives the noise that the prior would make latents of, as the latents of its output."""

        def step(level, features, index, group, latent):
            return level.noise_of(features, latent)

        return self._descend(tf.shape(latents[0])[0], step, (), True, latents, condition)

    def _noise(self, noise, index, features):
        side = features.shape[1]
        return noise.normal(index, (tf.shape(features)[0], side, side, self.latent_width))

    def _descend(
        self, batch_size, step, per_level=(), keep_latents=False, latents=None, condition=None
    ):
        """Runs a step through all levels.

        Args:
            batch_size: integer tensor.
            step: function (level, features, index, group, *slices) -> `LevelOutput`.
            per_level: tensors [levels, ...], sliced for each level.
            keep_latents: whether the latents are returned.
            latents: None, or one tensor for each level, the last slice of the step.
            condition: {resolution: features}, which enter before the step, or None.
        """
        rates, kept = [], []

        def run(group, stack, features):
            here = None if condition is None else condition[group.resolution]
            if not self.has_latents(group):
                return _deterministic(stack, features, here)
            levels = slice(group.first_level, group.first_level + group.num_levels)
            slices = [
                tf.range(levels.start, levels.stop),
                *(values[levels] for values in per_level),
            ]
            if latents is not None:
                slices.append(tf.stack(latents[levels]))
            features, outputs = self._run(stack, step, group, features, slices, keep_latents, here)
            rates.append(outputs[0])
            if keep_latents:
                kept.extend(tf.unstack(outputs[1], group.num_levels))
            return features

        features = self._pass(batch_size, run)
        return DecoderOutput(features, tuple(kept), tf.transpose(tf.concat(rates, axis=0)))

    def _run(self, stack, step, group, features, slices, keep_latents, condition):
        """Runs one stack; gives features and stacked rates [levels, batch] (and latents)."""

        def body(level, features, index, *slices):
            if condition is not None:
                features = level.enter(features, condition)
            output = step(level, features, index, group, *slices)
            kept = (output.rate, output.latent) if keep_latents else (output.rate,)
            return output.features, kept

        batch, side = features.shape[0], group.resolution
        latent_shape = (batch, side, side, self.latent_width)
        specs = [tf.TensorSpec((batch,)), tf.TensorSpec(latent_shape)]
        return stack.scan(body, features, slices, specs[: 2 if keep_latents else 1])

    def get_config(self):
        return {**super().get_config(), "gated": self.gated}


def _deterministic(stack, features, condition):
    """Runs a stack of levels without latents."""
    if condition is None:
        return stack(features)
    return stack.scan(lambda level, x: (level(level.enter(x, condition)), ()), features)[0]


def _at(activations, group):
    """Returns the activations that the levels of a group see."""
    if isinstance(activations, UnsharedActivations):
        return activations.at(group)
    return activations[group.resolution]


def _batch_size(activations):
    maps = activations.rest if isinstance(activations, UnsharedActivations) else activations
    return batch_size_of(next(iter(maps.values())))
