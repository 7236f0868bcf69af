"""Where in the picture the rate of each level goes."""

import functools

import numpy as np
import tensorflow as tf

from pcvae.distributions.noise import GivenNoise


class RateMaps:
    """Rates by place, on arrays; mixed into a model with `RateMapPasses`."""

    def rate_maps(self, images, seed=0, batch_size=64, condition=None):
        """Returns the rate of each level at each place of its latent.

        Args:
            images: uint8 [num_images, height, width, channels].
            seed: integer, of the posterior; that of `rate_per_level`.
            batch_size: images at once.
            condition: of a conditional model, one for each image.

        Returns:
            A list with one float32 [num_images, side, side] for each level, coarsest first, in
            nats, summed over channels; the sum over places is `rate_per_level`.

        Raises:
            UserError: the images do not fit the model.
        """
        latents = self.encode(images, seed, batch_size, condition)
        parts = []
        for start, batch, *given in self._batches(images, batch_size, condition):
            own = tuple(latent[start : start + batch_size] for latent in latents)
            parts.append(self._rate_maps_graph(batch, own, *given))
        return [np.concatenate(level) for level in zip(*parts, strict=True)]

    @functools.cached_property
    def _rate_maps_graph(self):
        return self._graph(self.rate_maps_pass, self._image_spec, self._latent_specs)


class RateMapPasses:
    """The graph level of `RateMaps` for a model with encoder, decoder and head."""

    def rate_maps_pass(self, images, latents, condition=None):
        """Returns the rates of latents by place, one [batch, side, side] a level, nats."""
        given = self.read_condition(condition)
        activations = self.activations(images, given.image)
        maps = self.decoder.rate_maps(activations, latents, given.maps).latents
        return tuple(tf.reduce_sum(rates, axis=-1) for rates in maps)


class StagedRateMapPasses:
    """The graph level of `RateMaps` for a `StagedVAE`."""

    def rate_maps_pass(self, images, latents, condition=None):
        """Returns the rates of latents by place, one [batch, side, side] a level, nats."""
        self.read_condition(condition)
        maps = []

        def run(stage, index, condition):
            own = latents[self._levels(index)]
            maps.extend(stage.rate_maps_pass(images, own, condition))
            zeros = GivenNoise(tuple(map(tf.zeros_like, own)))  # nothing is drawn
            return stage.latent_pass(own, zeros, tf.zeros(len(own)), None, condition)

        self._run(run)
        return tuple(maps)
