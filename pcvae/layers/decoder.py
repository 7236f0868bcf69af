"""The top-down decoder: every level of latents, coarsest first (Child 2020, figure 3)."""

import keras
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.layers.encoder import inner_kernel_size
from pcvae.layers.levels import (
    level_resolutions,
    parse_decoder_blocks,
    width_function,
    widths_notation,
)
from pcvae.layers.stack import Stack
from pcvae.layers.top_down import DeterministicLevel, TopDownLevel
from pcvae.outputs import DecoderOutput


@keras.saving.register_keras_serializable(package="pcvae")
class Decoder(keras.layers.Layer):
    """Levels z_1 ... z_L from coarse to fine; gives features at the resolution of the image.

    Each resolution starts from a learned bias (from zeros above `no_bias_above`), adds the
    up-sampled features of the resolution that its string mixes in, and runs its levels. One pass
    has four forms that share all weights: `infer` (posterior), `generate` (prior),
    `infer_prefix` (posterior up to level K, prior below) and `decode` (latents given).

    Args:
        blocks: the decoder's layer string, such as ``"1x1,4m1,4x2,8m4,8x5"``.
        width: channels at every resolution that `width_per_resolution` does not name.
        latent_width: channels of each latent.
        bottleneck: width of a block's bottleneck as a fraction of the width.
        width_per_resolution: {resolution: width} or ``"64:32,32:48"``.
        no_bias_above: the finest resolution that starts from a learned bias.
        num_latent_levels: number of levels, coarsest first, that have a latent; the ones after
            them are deterministic. None for all.
        split_levels: level indices that start a stack of their own, so that the levels before
            them can be frozen.
        unroll: whether stacks are written out instead of looped.

    Raises:
        UserError: the string or the widths do not fit together.
    """

    def __init__(
        self,
        blocks,
        width,
        latent_width=16,
        bottleneck=0.25,
        width_per_resolution="",
        no_bias_above=64,
        num_latent_levels=None,
        split_levels=(),
        unroll=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.blocks = blocks
        self.width = width
        self.latent_width = latent_width
        self.bottleneck = bottleneck
        self.width_per_resolution = widths_notation(width_per_resolution)
        self.no_bias_above = no_bias_above
        self.split_levels = tuple(split_levels)
        self.unroll = unroll
        self.width_at = width_function(width, self.width_per_resolution)
        total = len(level_resolutions(parse_decoder_blocks(blocks)))
        if num_latent_levels is not None and not 1 <= num_latent_levels <= total:
            raise UserError(f"num_latent_levels: expected 1..{total}, got {num_latent_levels}")
        self.num_levels = total if num_latent_levels is None else num_latent_levels
        cuts = {*self.split_levels, self.num_levels} - {total}
        self.groups = parse_decoder_blocks(blocks, sorted(cuts))
        self.resolutions = level_resolutions(self.groups)[: self.num_levels]
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

    def has_latents(self, group):
        """Whether the levels of a group have latents."""
        return group.first_level < self.num_levels

    def build(self, input_shape=None):
        self.biases = {}
        for resolution in sorted({group.resolution for group in self.groups}):
            if resolution <= self.no_bias_above:
                self.biases[str(resolution)] = self.add_weight(
                    shape=(resolution, resolution, self.width_at(resolution)),
                    initializer="zeros",
                    name=f"bias_{resolution:03d}",
                )
        self.stacks = [self._build_stack(group) for group in self.groups]
        width = self.width_at(self.image_size)
        self.gain = self.add_weight(shape=(width,), initializer="ones", name="gain")
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")
        super().build(input_shape)

    def _build_stack(self, group):
        width = self.width_at(group.resolution)
        arguments = {
            "width": width,
            "middle_width": int(width * self.bottleneck),
            "kernel_size": inner_kernel_size(group.resolution),
            "num_levels": self._total_levels,
            "dtype": self.dtype_policy,
            "name": "level",
        }
        if self.has_latents(group):
            level = TopDownLevel(latent_width=self.latent_width, **arguments)
        else:
            level = DeterministicLevel(**arguments)
        name = f"levels_{group.first_level:03d}"
        stack = Stack(level, group.num_levels, unroll=self.unroll, name=name)
        stack.build((None, group.resolution, group.resolution, width))
        return stack

    def call(self, activations, noise):
        """The posterior pass; see `infer`."""
        return self.infer(activations, noise)

    def infer(self, activations, noise, keep_latents=False):
        """Draws every latent from the posterior.

        Args:
            activations: {resolution: [batch, r, r, width]}, the encoder's.
            noise: a `SeededNoise` or `GivenNoise`; level i draws at site i.
            keep_latents: whether the latents are returned.

        Returns:
            A `DecoderOutput`.
        """

        def step(level, features, index, resolution):
            return level.infer(
                features, activations[resolution], self._noise(noise, index, features)
            )

        return self._descend(_batch_size(activations), step, keep_latents=keep_latents)

    def infer_prefix(self, activations, noise, temperature, num_levels, keep_latents=False):
        """Draws the first `num_levels` latents from the posterior and the rest from the prior.

        Args:
            activations: {resolution: [batch, r, r, width]}, the encoder's.
            noise: as in `infer`.
            temperature: [levels], scales the prior's standard deviation.
            num_levels: the prefix K, an integer tensor in 0..levels.
            keep_latents: whether the latents are returned.

        Returns:
            A `DecoderOutput`; rates below the prefix are zero.
        """

        def step(level, features, index, resolution, temperature, from_posterior):
            return level.infer_or_generate(
                features,
                activations[resolution],
                self._noise(noise, index, features),
                temperature,
                from_posterior,
            )

        from_posterior = tf.range(self.num_levels) < num_levels
        return self._descend(
            _batch_size(activations), step, (temperature, from_posterior), keep_latents
        )

    def generate(self, batch_size, noise, temperature, keep_latents=False):
        """Draws every latent from the prior; `temperature` is [levels]."""

        def step(level, features, index, resolution, temperature):
            return level.generate(features, self._noise(noise, index, features), temperature)

        return self._descend(batch_size, step, (temperature,), keep_latents)

    def decode(self, latents, noise, temperature):
        """Takes the first latents as given and draws the rest from the prior.

        Args:
            latents: tuple of at most `num_levels` tensors [batch, r, r, latent_width].
            noise: as in `infer`, for the levels that are not given.
            temperature: [levels], for the levels that are not given.

        Returns:
            A `DecoderOutput` with rates zero.
        """
        batch_size = tf.shape(latents[0])[0]

        def step(level, features, index, resolution, temperature, given, latent):
            noise_here = self._noise(noise, index, features)
            return level.decode(features, latent, given, noise_here, temperature)

        given = tf.range(self.num_levels) < len(latents)
        shapes = [(batch_size, side, side, self.latent_width) for side in self.resolutions]
        latents = (*latents, *(tf.zeros(shape) for shape in shapes[len(latents) :]))
        return self._descend(batch_size, step, (temperature, given), True, latents)

    def _noise(self, noise, index, features):
        side = features.shape[1]
        return noise.normal(index, (tf.shape(features)[0], side, side, self.latent_width))

    def _descend(self, batch_size, step, per_level=(), keep_latents=False, latents=None):
        """Runs a step through all levels.

        Args:
            batch_size: integer tensor.
            step: function (level, features, index, resolution, *slices) -> `LevelOutput`.
            per_level: tensors [levels, ...], sliced for each level.
            keep_latents: whether the latents are returned.
            latents: None, or one tensor for each level, the last slice of the step.
        """
        features_at, rates, kept = {}, [], []
        for group, stack in zip(self.groups, self.stacks, strict=True):
            features = self._start(group, features_at, batch_size)
            if not self.has_latents(group):
                features_at[group.resolution] = stack(features)
                continue
            levels = slice(group.first_level, group.first_level + group.num_levels)
            slices = [
                tf.range(levels.start, levels.stop),
                *(values[levels] for values in per_level),
            ]
            if latents is not None:
                slices.append(tf.stack(latents[levels]))
            features, outputs = self._run(
                stack, step, group.resolution, features, slices, keep_latents
            )
            features_at[group.resolution] = features
            rates.append(outputs[0])
            if keep_latents:
                kept.extend(tf.unstack(outputs[1], group.num_levels))
        features = features_at[self.image_size]
        features = features * tf.cast(self.gain, features.dtype)
        features += tf.cast(self.bias, features.dtype)
        return DecoderOutput(features, tuple(kept), tf.transpose(tf.concat(rates, axis=0)))

    def _run(self, stack, step, resolution, features, slices, keep_latents):
        """Runs one stack; gives features and stacked rates [levels, batch] (and latents)."""

        def body(level, features, index, *slices):
            output = step(level, features, index, resolution, *slices)
            kept = (output.rate, output.latent) if keep_latents else (output.rate,)
            return output.features, kept

        batch = features.shape[0]
        latent_shape = (batch, resolution, resolution, self.latent_width)
        specs = [tf.TensorSpec((batch,)), tf.TensorSpec(latent_shape)]
        return stack.scan(body, features, slices, specs[: 2 if keep_latents else 1])

    def _start(self, group, features_at, batch_size):
        """Gives the features that the first level of a group starts from."""
        resolution, width = group.resolution, self.width_at(group.resolution)
        features = features_at.get(resolution)
        if features is None:
            shape = (batch_size, resolution, resolution, width)
            if str(resolution) in self.biases:
                bias = tf.cast(self.biases[str(resolution)], self.compute_dtype)
                features = tf.broadcast_to(bias, shape)
            else:
                features = tf.zeros(shape, self.compute_dtype)
        if group.mixin:
            coarse = features_at[group.mixin][..., :width]
            factor = resolution // group.mixin
            features += tf.repeat(tf.repeat(coarse, factor, axis=1), factor, axis=2)
        return features

    def get_config(self):
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
        }


def _batch_size(activations):
    tensor = next(iter(activations.values()))
    return tensor.shape[0] or tf.shape(tensor)[0]
