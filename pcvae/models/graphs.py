"""The compiled graphs under `Inference`: one for each of its methods, traced once."""

import functools

import tensorflow as tf

from pcvae import units
from pcvae.distributions.noise import SeededNoise

_SEED = tf.TensorSpec((2,), tf.int32, name="seed")
_FIRST = tf.TensorSpec((), tf.int64, name="first_example")


class Graphs:
    """Graphs of a batch of any size; mixed into a model with the passes of `Passes`."""

    def rounded(self, signed):
        """Rounds pixels on [-1, 1] to uint8 images of the model's bit depth."""
        depth = self.head.bit_depth
        return units.images_from_levels(units.levels_from_signed(signed, depth), depth)

    def _graph(self, function, *signature):
        """Compiles a graph with a dynamic batch, so that it is traced once."""
        given = () if self.condition is None else (self.condition.spec,)
        return tf.function(function, input_signature=(*signature, *given), autograph=False)

    @property
    def _image_spec(self):
        return tf.TensorSpec((None, *self.image_shape), tf.uint8, name="images")

    @property
    def _temperature_spec(self):
        return tf.TensorSpec((self.num_levels,), tf.float32, name="temperature")

    @functools.cached_property
    def _sample_graph(self):
        def sample(num_samples, temperature, seed, first_sample, *given):
            return self.draw(num_samples, SeededNoise(seed, first_sample), temperature, *given)

        num_samples = tf.TensorSpec((), tf.int32, name="num_samples")
        return self._graph(sample, num_samples, self._temperature_spec, _SEED, _FIRST)

    @functools.cached_property
    def _means_graph(self):
        def means(num_samples, temperature, seed, first_sample, *given):
            noise = SeededNoise(seed, first_sample)
            output = self.prior_pass(num_samples, noise, temperature, False, *given)
            return self.rounded(output.reconstruction)

        num_samples = tf.TensorSpec((), tf.int32, name="num_samples")
        return self._graph(means, num_samples, self._temperature_spec, _SEED, _FIRST)

    @functools.cached_property
    def _reconstruct_graph(self):
        def reconstruct(images, num_levels, temperature, seed, first_image, *given):
            noise = SeededNoise(seed, first_image)
            condition = given[0] if given else None
            output = self.prefix_pass(images, noise, temperature, num_levels, condition=condition)
            return self.rounded(output.reconstruction)

        num_levels = tf.TensorSpec((), tf.int32, name="num_levels")
        return self._graph(
            reconstruct, self._image_spec, num_levels, self._temperature_spec, _SEED, _FIRST
        )

    @functools.cached_property
    def _encode_graph(self):
        def encode(images, seed, first_image, *given):
            return self.posterior_pass(images, SeededNoise(seed, first_image), True, *given).latents

        return self._graph(encode, self._image_spec, _SEED, _FIRST)

    @functools.cached_property
    def _decode_graph(self):
        def decode(latents, temperature, seed, first_image, *given):
            noise = SeededNoise(seed, first_image)
            output = self.latent_pass(latents, noise, temperature, None, *given)
            return self.rounded(output.reconstruction)

        # No signature: the number of latents that are given is part of the graph.
        return tf.function(decode, reduce_retracing=True, autograph=False)

    @functools.cached_property
    def _rates_graph(self):
        def rates(images, seed, first_image, *given):
            noise = SeededNoise(seed, first_image)
            return self.posterior_pass(images, noise, False, *given).rate_per_level

        return self._graph(rates, self._image_spec, _SEED, _FIRST)
