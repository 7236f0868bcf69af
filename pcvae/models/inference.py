"""What every hierarchical VAE offers on uint8 arrays: sample, reconstruct, encode, decode, rates.

The methods run compiled graphs in batches. Example i gets the noise of (seed, level, i), so the
size of the batches changes nothing. Seeds are integers from 0 to 2^32 - 1.
"""

import functools

import numpy as np
import tensorflow as tf

from pcvae import units
from pcvae.checks import check_integer
from pcvae.distributions.noise import SeededNoise, make_seed
from pcvae.errors import UserError


def weights_by_name(model):
    """Returns {name: variable} of all weights; the names do not depend on that of the model."""
    return {weight.path.split("/", 1)[1]: weight for weight in model.weights}


class Inference:
    """Batched, seeded inference; mixed into a model with encoder, decoder and head."""

    @property
    def named_weights(self):
        """{name: variable} of all weights; the names do not depend on the name of the model."""
        return weights_by_name(self)

    def sample(self, num_samples, temperature=1.0, seed=0, batch_size=64, first_sample=0):
        """Draws images from the model.

        Args:
            num_samples: number of images.
            temperature: scales the prior's standard deviation: a number, or one a level.
            seed: integer; equal seeds give equal images.
            batch_size: images drawn at once.
            first_sample: index of the first image: sampling 3, then 5 with ``first_sample=3``,
                equals sampling 8.

        Returns:
            uint8 [num_samples, height, width, channels].

        Raises:
            UserError: an argument is out of range.
        """
        num_samples = check_integer("num_samples", num_samples, 0)
        batch_size = check_integer("batch_size", batch_size, 1)
        first_sample = check_integer("first_sample", first_sample, 0)
        temperature, seed = self.temperatures(temperature), make_seed(seed)
        batches = [np.zeros((0, *self.image_shape), np.uint8)]
        for start in range(0, num_samples, batch_size):
            size = min(batch_size, num_samples - start)
            batches.append(self._sample_graph(size, temperature, seed, first_sample + start))
        return np.concatenate(batches)

    def reconstruct(self, images, num_levels=None, seed=0, temperature=0.0, batch_size=64):
        """Reconstructs images from a prefix of their latents.

        Args:
            images: uint8 [num_images, height, width, channels].
            num_levels: the prefix K whose latents come from the posterior; by default all.
            seed: integer.
            temperature: of the prior that gives the other levels; 0 takes its means.
            batch_size: images at once.

        Returns:
            uint8 [num_images, height, width, channels], the mean of the head.

        Raises:
            UserError: the images do not fit the model, or an argument is out of range.
        """
        num_levels = self.num_levels if num_levels is None else num_levels
        num_levels = check_integer("num_levels", num_levels, 0, self.num_levels)
        temperature, seed = self.temperatures(temperature), make_seed(seed)
        graph = self._reconstruct_graph
        return np.concatenate(
            [
                graph(batch, num_levels, temperature, seed, start)
                for start, batch in self._batches(images, batch_size)
            ]
        )

    def encode(self, images, seed=0, batch_size=64):
        """Draws the latents of images from the posterior.

        Args:
            images: uint8 [num_images, height, width, channels].
            seed: integer.
            batch_size: images at once.

        Raises:
            UserError: the images do not fit the model, or an argument is out of range.

        Returns:
            A list with one float32 [num_images, side, side, latent_width] for each level,
            coarsest first.
        """
        seed = make_seed(seed)
        batches = [
            self._encode_graph(batch, seed, start)
            for start, batch in self._batches(images, batch_size)
        ]
        return [np.concatenate(level) for level in zip(*batches, strict=True)]

    def decode(self, latents, seed=0, temperature=0.0, batch_size=64):
        """Decodes latents; ``decode(encode(images))`` equals ``reconstruct(images)``.

        Args:
            latents: one or more arrays as `encode` gives them; levels missing at the end are drawn
                from the prior.
            seed: integer, for the levels that are missing.
            temperature: of the prior that gives them; 0 takes its means.
            batch_size: images at once.

        Returns:
            uint8 [num_images, height, width, channels], the mean of the head.

        Raises:
            UserError: the latents do not fit the model, or an argument is out of range.
        """
        latents = self._check_latents(latents)
        batch_size = check_integer("batch_size", batch_size, 1)
        temperature, seed = self.temperatures(temperature), make_seed(seed)
        graph = self._decode_graph
        return np.concatenate(
            [
                graph(
                    tuple(latent[start : start + batch_size] for latent in latents),
                    temperature,
                    seed,
                    tf.constant(start, tf.int64),
                )
                for start in range(0, len(latents[0]), batch_size)
            ]
        )

    def rate_per_level(self, images, seed=0, batch_size=64):
        """Returns the rate of each level for each image: float32 [num_images, levels] nats."""
        seed = make_seed(seed)
        return np.concatenate(
            [
                self._rates_graph(batch, seed, start)
                for start, batch in self._batches(images, batch_size)
            ]
        )

    def temperatures(self, temperature):
        """Returns one temperature a level, float32 [levels], from a number or a list.

        Raises:
            UserError: a number is negative or not finite, there is none, or the list has another
                length.
        """
        values = _floats(temperature)
        if values is not None and values.ndim == 0:
            values = np.full(self.num_levels, values)
        fits = values is not None and values.shape == (self.num_levels,)
        if not fits or not ((values >= 0) & (values <= np.finfo(np.float32).max)).all():
            raise UserError(
                f"temperature: expected a number >= 0 or {self.num_levels} of them, one a level; "
                f"got {' '.join(repr(temperature).split())}"
            )
        return values.astype(np.float32)

    def check_images(self, images):
        """Returns images as a uint8 array of the model's shape.

        Raises:
            UserError: the type or the shape differs.
        """
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.shape[1:] != self.image_shape or not len(images):
            raise UserError(
                f"images: expected uint8 [num_images, {', '.join(map(str, self.image_shape))}], "
                f"got {images.dtype} {list(images.shape)}"
            )
        return images

    def _batches(self, images, batch_size):
        images, batch_size = self.check_images(images), check_integer("batch_size", batch_size, 1)
        return [
            (start, images[start : start + batch_size])
            for start in range(0, len(images), batch_size)
        ]

    def _check_latents(self, latents):
        """Returns latents as a list of float32 arrays, if they are those of a prefix."""
        is_list = isinstance(latents, list | tuple)
        arrays = [_floats(latent) for latent in latents] if is_list else []
        shapes = [() if array is None else array.shape for array in arrays]
        width = self.decoder.latent_width
        expected = [(side, side, width) for side in self.level_resolutions]
        counts = {shape[:1] for shape in shapes}
        given = [shape[1:] for shape in shapes]
        if len(counts) != 1 or counts & {(), (0,)} or given != expected[: len(given)]:
            got = f"arrays of shapes {shapes}" if is_list else type(latents).__name__
            raise UserError(
                "latents: expected a list of arrays [num_images, side, side, latent_width], one or "
                f"more images and the first 1 to {self.num_levels} of the levels {expected}, got "
                f"{got}"
            )
        for level, array in enumerate(arrays):
            if not np.isfinite(array).all():
                raise UserError(f"latents: expected finite numbers, got others at level {level}")
        return [array.astype(np.float32) for array in arrays]

    def images_from_head(self, params):
        """Rounds the mean of the head to uint8 images."""
        depth = self.head.bit_depth
        levels = units.levels_from_signed(self.head.mean(params), depth)
        return units.images_from_levels(levels, depth)

    def _graph(self, function, *signature):
        """Compiles a graph with a dynamic batch, so that it is traced once."""
        return tf.function(function, input_signature=signature, autograph=False)

    @property
    def _image_spec(self):
        return tf.TensorSpec((None, *self.image_shape), tf.uint8, name="images")

    @property
    def _temperature_spec(self):
        return tf.TensorSpec((self.num_levels,), tf.float32, name="temperature")

    @functools.cached_property
    def _sample_graph(self):
        def sample(num_samples, temperature, seed, first_sample):
            noise = SeededNoise(seed, first_sample)
            decoded = self.decoder.generate(num_samples, noise, temperature)
            return self.head.sample(self.head(decoded.features), noise)

        num_samples = tf.TensorSpec((), tf.int32, name="num_samples")
        return self._graph(sample, num_samples, self._temperature_spec, _SEED, _FIRST)

    @functools.cached_property
    def _reconstruct_graph(self):
        def reconstruct(images, num_levels, temperature, seed, first_image):
            decoded = self.decoder.infer_prefix(
                self.activations(images), SeededNoise(seed, first_image), temperature, num_levels
            )
            return self.images_from_head(self.head(decoded.features))

        num_levels = tf.TensorSpec((), tf.int32, name="num_levels")
        return self._graph(
            reconstruct, self._image_spec, num_levels, self._temperature_spec, _SEED, _FIRST
        )

    @functools.cached_property
    def _encode_graph(self):
        def encode(images, seed, first_image):
            noise = SeededNoise(seed, first_image)
            return self.decoder.infer(self.activations(images), noise, keep_latents=True).latents

        return self._graph(encode, self._image_spec, _SEED, _FIRST)

    @functools.cached_property
    def _decode_graph(self):
        def decode(latents, temperature, seed, first_image):
            decoded = self.decoder.decode(latents, SeededNoise(seed, first_image), temperature)
            return self.images_from_head(self.head(decoded.features))

        # No signature: the number of latents that are given is part of the graph.
        return tf.function(decode, reduce_retracing=True, autograph=False)

    @functools.cached_property
    def _rates_graph(self):
        def rates(images, seed, first_image):
            noise = SeededNoise(seed, first_image)
            return self.decoder.infer(self.activations(images), noise).rate_per_level

        return self._graph(rates, self._image_spec, _SEED, _FIRST)


def _floats(values):
    """Returns numbers as a float64 array, or None if they are something else."""
    try:
        array = np.asarray(values)
    except ValueError:  # lists of different lengths
        return None
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None


_SEED = tf.TensorSpec((2,), tf.int32, name="seed")
_FIRST = tf.TensorSpec((), tf.int64, name="first_example")
