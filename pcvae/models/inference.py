"""What every hierarchical VAE offers on uint8 arrays: sample, reconstruct, encode, decode, rates.

The methods run compiled graphs in batches. Example i gets the noise of (seed, level, i), so the
size of the batches changes nothing. Seeds are integers from 0 to 2^32 - 1.
"""

import numpy as np
import tensorflow as tf

from pcvae.checks import check_integer
from pcvae.distributions.noise import make_seed
from pcvae.errors import UserError
from pcvae.models.editing import Editing
from pcvae.models.graphs import Graphs
from pcvae.models.inputs import checked_images, checked_latents, checked_temperatures
from pcvae.models.prefix_choice import PrefixChoice


class Inference(PrefixChoice, Graphs, Editing):
    """Batched, seeded inference; mixed into a model with the passes of `Passes`.

    A conditional model takes ``condition``, one for each image: for a smaller image, which follows
    from the image itself, it may be left out wherever images are given.
    """

    condition = None  # the `Condition` of a conditional model

    @property
    def stage_ends(self):
        """Number of levels up to and with each stage: this model is one."""
        return (self.num_levels,)

    @property
    def latent_shapes(self):
        """(side, side, latent_width) of each level, coarsest first."""
        width = self.decoder.latent_width
        return tuple((side, side, width) for side in self.level_resolutions)

    def sample(
        self,
        num_samples,
        temperature=1.0,
        seed=0,
        batch_size=64,
        first_sample=0,
        condition=None,
        pixels="sample",
    ):
        """Draws images from the model.

        Args:
            num_samples: number of images.
            temperature: scales the prior's standard deviation: a number, or one a level.
            seed: integer; equal seeds give equal images.
            batch_size: images drawn at once.
            first_sample: index of the first image: sampling 3, then 5 with ``first_sample=3``,
                equals sampling 8.
            condition: of a conditional model, one for each image.
            pixels: "sample" draws them, "mean" takes the mean of the head.

        Returns:
            uint8 [num_samples, height, width, channels].

        Raises:
            UserError: an argument is out of range.
        """
        num_samples = check_integer("num_samples", num_samples, 0)
        batch_size = check_integer("batch_size", batch_size, 1)
        first_sample = check_integer("first_sample", first_sample, 0)
        temperature, seed = self.temperatures(temperature), make_seed(seed)
        given = self._checked_conditions(condition, num_samples)
        if pixels not in ("sample", "mean"):
            raise UserError(f"pixels: expected sample or mean, got {pixels!r}")
        graph = self._sample_graph if pixels == "sample" else self._means_graph
        batches = [np.zeros((0, *self.image_shape), np.uint8)]
        for start in range(0, num_samples, batch_size):
            size = min(batch_size, num_samples - start)
            parts = [array[start : start + size] for array in given]
            first = first_sample + start
            batches.append(graph(size, temperature, seed, first, *parts))
        return np.concatenate(batches)

    def reconstruct(
        self,
        images,
        num_levels=None,
        seed=0,
        temperature=0.0,
        batch_size=64,
        condition=None,
        decoder=None,
    ):
        """Reconstructs images from a prefix of their latents.

        Args:
            images: uint8 [num_images, height, width, channels].
            num_levels: the prefix K whose latents come from the posterior; by default all.
            seed: integer.
            temperature: of the prior that gives the other levels; 0 takes its means.
            batch_size: images at once.
            condition: see `Inference`.
            decoder: "own" for the decoder that was trained for this prefix (`ProgressiveCoding`),
                "prior" for the model's path with the other levels from the prior; by default "own"
                where the model has one (ours). Of all levels the model itself is the own decoder.

        Returns:
            uint8 [num_images, height, width, channels], the mean of the head.

        Raises:
            UserError: the images do not fit the model, or an argument is out of range.
        """
        num_levels = self.num_levels if num_levels is None else num_levels
        num_levels = check_integer("num_levels", num_levels, 0, self.num_levels)
        if self.prefix_decoder(num_levels, decoder) is not None:
            latents = self.encode(images, seed, batch_size, condition)[:num_levels]
            return self.decode(latents, seed, temperature, batch_size, condition, decoder)
        temperature, seed = self.temperatures(temperature), make_seed(seed)
        graph = self._reconstruct_graph
        return np.concatenate(
            [
                graph(batch, num_levels, temperature, seed, start, *given)
                for start, batch, *given in self._batches(images, batch_size, condition)
            ]
        )

    def encode(self, images, seed=0, batch_size=64, condition=None):
        """Draws the latents of images from the posterior.

        Args:
            images: uint8 [num_images, height, width, channels].
            seed: integer.
            batch_size: images at once.
            condition: see `Inference`.

        Raises:
            UserError: the images do not fit the model, or an argument is out of range.

        Returns:
            A list with one float32 [num_images, side, side, latent_width] for each level,
            coarsest first.
        """
        seed = make_seed(seed)
        batches = [
            self._encode_graph(batch, seed, start, *given)
            for start, batch, *given in self._batches(images, batch_size, condition)
        ]
        return [np.concatenate(level) for level in zip(*batches, strict=True)]

    def decode(self, latents, seed=0, temperature=0.0, batch_size=64, condition=None, decoder=None):
        """Decodes latents; ``decode(encode(images))`` equals ``reconstruct(images)``.

        Args:
            latents: one or more arrays as `encode` gives them; levels missing at the end are drawn
                from the prior, unless there is a decoder for those that are given.
            seed: integer, for the levels that are missing.
            temperature: of the prior that gives them; 0 takes its means.
            batch_size: images at once.
            condition: of a conditional model, one for each image.
            decoder: "own", "prior" or None; see `reconstruct`.

        Returns:
            uint8 [num_images, height, width, channels], the mean of the head.

        Raises:
            UserError: the latents do not fit the model, or an argument is out of range.
        """
        latents = checked_latents(latents, self.latent_shapes)
        batch_size = check_integer("batch_size", batch_size, 1)
        temperature, seed = self.temperatures(temperature), make_seed(seed)
        count = len(latents[0])
        given = self._checked_conditions(condition, count)
        own = self.prefix_decoder(len(latents), decoder)
        graph = self._decode_graph if own is None else self._prefix_graph
        parts = []
        for start in range(0, count, batch_size):
            here = slice(start, start + batch_size)
            parts.append(
                graph(
                    tuple(latent[here] for latent in latents),
                    temperature,
                    seed,
                    tf.constant(start, tf.int64),
                    *(tf.constant(array[here]) for array in given),
                )
            )
        return np.concatenate(parts)

    def rate_per_level(self, images, seed=0, batch_size=64, condition=None):
        """Returns the rate of each level for each image: float32 [num_images, levels] nats."""
        seed = make_seed(seed)
        return np.concatenate(
            [
                self._rates_graph(batch, seed, start, *given)
                for start, batch, *given in self._batches(images, batch_size, condition)
            ]
        )

    def temperatures(self, temperature):
        """Returns one temperature a level; see `inputs.checked_temperatures`."""
        return checked_temperatures(temperature, self.num_levels)

    def check_images(self, images):
        """Returns images as a uint8 array of the model's shape; see `inputs.checked_images`."""
        return checked_images(images, self.image_shape)

    def natural_condition(self, images):
        """Returns what images give as their own condition, an array, or None if there is none.

        Raises:
            UserError: the condition of this model does not follow from images.
        """
        if self.condition is None:
            return None
        return self.condition.natural(tf.constant(self.check_images(images))).numpy()

    def _batches(self, images, batch_size, condition):
        """Returns (start, images), with conditions as a third for a conditional model."""
        images, batch_size = self.check_images(images), check_integer("batch_size", batch_size, 1)
        if condition is None:
            condition = self.natural_condition(images)
        arrays = (images, *self._checked_conditions(condition, len(images)))
        return [
            (start, *(array[start : start + batch_size] for array in arrays))
            for start in range(0, len(images), batch_size)
        ]

    def _checked_conditions(self, condition, count):
        """Returns (conditions,) of a conditional model, () of another."""
        if self.condition is None:
            self.read_condition(condition)  # which takes None alone
            return ()
        if condition is None:
            raise UserError(f"condition: expected {self.condition.in_words}, got none")
        return (self.condition.checked_batch(condition, count),)
