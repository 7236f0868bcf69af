"""Decoders that are fitted for prefixes of a model whose posterior is frozen.

The distortion of a prefix is D_k = min over d of E||x - d(z_1:k)||^2 with q as it is (Shu and Ermon
2022, section 3), so it takes a decoder of its own for each prefix.
"""

import functools

import keras
import numpy as np
import tensorflow as tf

from pcvae import units
from pcvae.distributions.noise import SeededNoise, make_seed, seeded_noise
from pcvae.errors import UserError
from pcvae.layers.levels import level_resolutions, parse_decoder_blocks, prefix_lengths
from pcvae.layers.prefix_decoder import PrefixDecoder
from pcvae.models.weights import NamedWeights
from pcvae.outputs import VDVAEOutput

# The arguments that the decoders of a `VDVAE` share with it.
_OF_THE_MODEL = (
    "image_shape",
    "decoder_blocks",
    "width",
    "latent_width",
    "bottleneck",
    "width_per_resolution",
    "no_bias_above",
    "num_latent_levels",
    "unroll",
    "dtype",
)


def prefixes_of(model, prefixes=None):
    """Returns the numbers of levels of prefixes of a model, ascending.

    Args:
        model: a `VDVAE`.
        prefixes: numbers of levels, or resolutions such as ``"4x4"``; None for each prefix at which
            a resolution is complete.

    Raises:
        UserError: there is no such prefix, or one stands twice.
    """
    prefixes = model.prefixes if prefixes is None else prefixes
    return prefix_lengths(prefixes, model.level_resolutions)


@keras.saving.register_keras_serializable(package="pcvae")
class PrefixDecoders(NamedWeights, keras.Model):
    """A `PrefixDecoder` for each of several prefixes, all of the form of one model's decoder.

    Args:
        prefixes: the prefixes, as numbers of levels or resolutions such as ``"4x4"``.
        image_shape: (height, width, channels).
        decoder_blocks: the layer string of the decoder; see `VDVAE`, also for the rest.
        width: channels at every resolution that `width_per_resolution` does not name.
        latent_width: channels of each latent.
        bottleneck: width of a block's bottleneck as a fraction of the width.
        width_per_resolution: {resolution: width} or ``"64:32,32:48"``.
        no_bias_above: the finest resolution that starts from a learned bias.
        num_latent_levels: the levels of the model that have a latent; None for all.
        unroll: whether stacks are written out instead of looped.

    Raises:
        UserError: the arguments do not fit together, or there is no such prefix.
    """

    def __init__(
        self,
        prefixes,
        image_shape,
        decoder_blocks,
        width,
        latent_width=16,
        bottleneck=0.25,
        width_per_resolution="",
        no_bias_above=64,
        num_latent_levels=None,
        unroll=False,
        **kwargs,
    ):
        kwargs.setdefault("name", "prefix_decoders")
        super().__init__(**kwargs)
        self.image_shape = tuple(map(int, image_shape))
        resolutions = level_resolutions(parse_decoder_blocks(decoder_blocks))
        if num_latent_levels is not None:
            (total,) = prefix_lengths(num_latent_levels, resolutions, "num_latent_levels")
            resolutions = resolutions[:total]
        self.prefixes = prefix_lengths(prefixes, resolutions)
        self.decoders = [
            PrefixDecoder(
                decoder_blocks,
                width,
                num_latent_levels=length,
                channels=self.image_shape[-1],
                latent_width=latent_width,
                bottleneck=bottleneck,
                width_per_resolution=width_per_resolution,
                no_bias_above=no_bias_above,
                unroll=unroll,
                dtype=self.dtype_policy,
                name=f"prefix_decoder_{length:03d}",
            )
            for length in self.prefixes
        ]
        self._arguments = {
            "prefixes": list(self.prefixes),
            "image_shape": list(self.image_shape),
            "decoder_blocks": decoder_blocks,
            "width": width,
            "latent_width": latent_width,
            "bottleneck": bottleneck,
            "width_per_resolution": width_per_resolution,
            "no_bias_above": no_bias_above,
            "num_latent_levels": num_latent_levels,
            "unroll": unroll,
        }
        self.build()

    @classmethod
    def for_model(cls, model, prefixes=None):
        """Returns fresh decoders for prefixes of a `VDVAE`.

        Args:
            model: the `VDVAE`.
            prefixes: see the constructor; by default each prefix at which a resolution is complete.

        Raises:
            UserError: the model is one of several stages, or is given a condition.
        """
        if hasattr(model, "stages") or model.condition is not None:
            raise UserError(
                f"{model.name}: decoders are fitted to prefixes of an unconditional model of one "
                "stage alone: fit those of a first stage on its own run (--run_dir), and leave "
                "--refit_steps out here"
            )
        config = model.get_config()
        shared = {name: config[name] for name in _OF_THE_MODEL}
        return cls(prefixes_of(model, prefixes), **shared)

    def build(self, input_shape=None):
        if not self.built:
            for decoder in self.decoders:
                decoder.build()
            self.built = True

    def call(self, latents):
        """Decodes every prefix of the latents, each with its own decoder.

        Args:
            latents: tensors [batch, side, side, latent_width], coarsest first, as many as the
                longest prefix has.

        Returns:
            {K: float32 [batch, height, width, channels] in [-1, 1]}, ascending in K.
        """
        return {decoder.num_levels: decoder(latents) for decoder in self.decoders}

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype_policy.name, **self._arguments}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class RefittedPrefixes:
    """A frozen model with fresh decoders for its prefixes, in the form that trainers take.

    ``model(images, noise)`` draws the latents from the frozen posterior, once for all decoders, and
    lets no gradient through. Its `trained_weights` are those of the decoders alone: optimizer,
    average and checkpoints never meet the frozen ones.

    Args:
        frozen_model: a `VDVAE`; nothing here changes it.
        decoders: the `PrefixDecoders` of some of its prefixes.
    """

    def __init__(self, frozen_model, decoders):
        self.frozen_model = frozen_model
        self.decoders = decoders
        self.image_shape = frozen_model.image_shape
        self.level_resolutions = frozen_model.level_resolutions

    @property
    def trained_weights(self):
        """{name: variable} of the decoders."""
        return self.decoders.named_weights

    named_weights = trained_weights

    @property
    def decoded_prefixes(self):
        """Numbers of levels of the prefixes, ascending."""
        return self.decoders.prefixes

    def __call__(self, images, noise=None):
        """Decodes one posterior sample of each image by every decoder.

        Args:
            images: uint8 [batch, height, width, channels].
            noise: a `SeededNoise` or `GivenNoise`; by default that of seed 0.

        Returns:
            A `VDVAEOutput`: the true rates of all levels, the reconstruction of the longest
            prefix, no likelihood and no parameters of a head.
        """
        noise = seeded_noise(0) if noise is None else noise
        frozen = self.frozen_model
        decoded = frozen.posterior_pass(images, noise, keep_latents=True)
        latents = tuple(map(tf.stop_gradient, decoded.latents))
        reconstructions = self.decoders(latents)
        return VDVAEOutput(
            head_params=None,
            reconstruction=reconstructions[self.decoded_prefixes[-1]],
            latents=latents,
            rate_per_level=tf.stop_gradient(decoded.rate_per_level),
            nll=None,
            prefix_reconstructions=reconstructions,
        )

    def reconstruct(self, images, seed=0, batch_size=64):
        """Reconstructs images from every prefix.

        Args:
            images: uint8 [num_images, height, width, channels].
            seed: integer, of the posterior.
            batch_size: images at once.

        Returns:
            {K: uint8 [num_images, height, width, channels]}.
        """
        images, seed = self.frozen_model.check_images(images), make_seed(seed)
        parts = [
            self._reconstruct_graph(images[start : start + batch_size], seed, start)
            for start in range(0, len(images), batch_size)
        ]
        return {k: np.concatenate([part[k] for part in parts]) for k in self.decoded_prefixes}

    @functools.cached_property
    def _reconstruct_graph(self):
        def reconstruct(images, seed, first_image):
            output = self(images, SeededNoise(seed, first_image))
            return {
                k: units.images_from_levels(units.levels_from_signed(image, 8), 8)
                for k, image in output.prefix_reconstructions.items()
            }

        signature = (
            tf.TensorSpec((None, *self.image_shape), tf.uint8),
            tf.TensorSpec((2,), tf.int32),
            tf.TensorSpec((), tf.int64),
        )
        return tf.function(reconstruct, input_signature=signature, autograph=False)
