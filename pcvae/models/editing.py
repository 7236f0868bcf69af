"""Edits of latents: each level given, re-inferred or resampled; and the prior's coordinates."""

import functools

import numpy as np
import tensorflow as tf

from pcvae.checks import check_integer
from pcvae.distributions.noise import GivenNoise, SeededNoise, make_seed
from pcvae.errors import UserError
from pcvae.layers.top_down import GIVEN, POSTERIOR, PRIOR
from pcvae.models.inputs import checked_latents
from pcvae.models.rate_maps import RateMapPasses, RateMaps, StagedRateMapPasses
from pcvae.models.stage_order import noise_of_stage

SOURCES = {"prior": PRIOR, "posterior": POSTERIOR, "given": GIVEN}


class Editing(RateMaps):
    """Edits on arrays; mixed into a model with `EditingPasses` or `StagedEditingPasses`."""

    def edit(
        self, images, latents, sources, seed=0, temperature=0.0, batch_size=64, condition=None
    ):
        """Decodes latents, each level of which is given or drawn anew below what was edited.

        All levels given: `decode`. All from the posterior: `reconstruct`.

        Args:
            images: uint8 [num_images, height, width, channels], which the posterior sees.
            latents: an array for every level, as `encode` gives them.
            sources: one of "given", "posterior" and "prior" for every level: taken as it is, drawn
                from q(z_i | x, z_<i) with the z_<i that came before, or from p(z_i | z_<i).
            seed: integer; with that of `encode` a level from the posterior comes out as there, as
                long as no level before it was changed.
            temperature: of levels from the prior; 0 takes their means.
            batch_size: images at once.
            condition: of a conditional model, one for each image.

        Returns:
            uint8 [num_images, height, width, channels], the mean of the head.

        Raises:
            UserError: the latents or the sources do not fit the model.
        """
        latents = self._all_latents(latents, len(images))
        if len(sources) != self.num_levels or not set(sources) <= SOURCES.keys():
            raise UserError(
                f"sources: expected one of {', '.join(SOURCES)} for each of {self.num_levels} "
                f"levels, got {sources!r}"
            )
        numbers = tf.constant([SOURCES[source] for source in sources])
        temperature, seed = self.temperatures(temperature), make_seed(seed)
        parts = []
        for start, batch, *given in self._batches(images, batch_size, condition):
            own = tuple(latent[start : start + batch_size] for latent in latents)
            parts.append(self._edit_graph(batch, own, temperature, numbers, seed, start, *given))
        return np.concatenate(parts)

    def noise_of(self, latents, condition=None, batch_size=64):
        """Returns the noise that the prior would make latents of: its coordinates.

        (z_i - mean) / standard deviation of p(z_i | z_<i), level by level: standard normal for
        latents from the prior.

        Args:
            latents: an array for every level, as `encode` gives them.
            condition: of a conditional model, one for each image.
            batch_size: images at once.

        Returns:
            A list of float32 arrays of the same shapes.
        """
        return self._map_latents(self._noise_graph, latents, condition, batch_size)

    def latents_of(self, noise, condition=None, batch_size=64):
        """Returns the latents that the prior makes of noise: the inverse of `noise_of`."""
        return self._map_latents(self._latents_graph, noise, condition, batch_size)

    def _map_latents(self, graph, latents, condition, batch_size):
        batch_size = check_integer("batch_size", batch_size, 1)
        latents = self._all_latents(latents)
        given = self._checked_conditions(condition, len(latents[0]))
        parts = []
        for start in range(0, len(latents[0]), batch_size):
            here = slice(start, start + batch_size)
            parts.append(graph(tuple(z[here] for z in latents), *(array[here] for array in given)))
        return [np.concatenate(level) for level in zip(*parts, strict=True)]

    def _all_latents(self, latents, count=None):
        latents = checked_latents(latents, self.latent_shapes)
        if len(latents) != self.num_levels or count not in (None, len(latents[0])):
            raise UserError(
                f"latents: expected all {self.num_levels} levels, one for each image; got "
                f"{len(latents)} levels of {len(latents[0])} images"
            )
        return latents

    @property
    def _latent_specs(self):
        return tuple(tf.TensorSpec((None, *shape)) for shape in self.latent_shapes)

    @functools.cached_property
    def _edit_graph(self):
        def edit(images, latents, temperature, sources, seed, first_image, *given):
            noise = SeededNoise(seed, first_image)
            output = self.edit_pass(images, latents, noise, temperature, sources, *given)
            return self.rounded(output.reconstruction)

        sources = tf.TensorSpec((self.num_levels,), tf.int32)
        seed, first = tf.TensorSpec((2,), tf.int32), tf.TensorSpec((), tf.int64)
        specs = (self._image_spec, self._latent_specs, self._temperature_spec, sources, seed, first)
        return self._graph(edit, *specs)

    @functools.cached_property
    def _noise_graph(self):
        return self._graph(self.noise_pass, self._latent_specs)

    @functools.cached_property
    def _latents_graph(self):
        return self._graph(self.latents_pass, self._latent_specs)


class EditingPasses(RateMapPasses):
    """The graph level of `Editing` for a model with encoder, decoder and head."""

    def edit_pass(self, images, latents, noise, temperature, sources, condition=None):
        """Takes each latent from its source; see `Decoder.edit`. Gives a `VDVAEOutput`."""
        given = self.read_condition(condition)
        activations = self.activations(images, given.image)
        return self._output(
            self.decoder.edit(activations, latents, noise, temperature, sources, given.maps)
        )

    def noise_pass(self, latents, condition=None):
        """Returns the coordinates of latents under the prior, one tensor a level."""
        return self.decoder.noise_of(latents, self.read_condition(condition).maps).latents

    def latents_pass(self, noise, condition=None):
        """Returns the latents of these coordinates, one tensor a level."""
        count, ones = tf.shape(noise[0])[0], tf.ones(self.num_levels)
        return self.prior_pass(count, GivenNoise(noise), ones, True, condition).latents


class StagedEditingPasses(StagedRateMapPasses):
    """The graph level of `Editing` for a `StagedVAE`."""

    def edit_pass(self, images, latents, noise, temperature, sources, condition=None):
        """Takes each latent from its source; gives a `VDVAEOutput`."""
        self.read_condition(condition)

        def run(stage, index, condition):
            levels, here = self._levels(index), noise_of_stage(noise, index)
            return stage.edit_pass(
                images, latents[levels], here, temperature[levels], sources[levels], condition
            )

        return self._whole(self._run(run)[0])

    def noise_pass(self, latents, condition=None):
        """Returns the coordinates of latents under the prior, one tensor a level."""
        self.read_condition(condition)
        noise = []

        def run(stage, index, condition):
            own = latents[self._levels(index)]
            noise.extend(stage.noise_pass(own, condition))
            zeros = GivenNoise(tuple(map(tf.zeros_like, own)))  # nothing is drawn
            return stage.latent_pass(own, zeros, tf.zeros(len(own)), None, condition)

        self._run(run)
        return tuple(noise)

    def latents_pass(self, noise, condition=None):
        """Returns the latents of these coordinates, one tensor a level."""
        self.read_condition(condition)
        count = tf.shape(noise[0])[0]

        def run(stage, index, condition):
            own = GivenNoise(noise[self._levels(index)])
            return stage.prior_pass(count, own, tf.ones(stage.num_levels), True, condition)

        return self._whole(self._run(run)[0]).latents
