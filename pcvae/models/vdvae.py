"""The very deep VAE (Child 2020, arXiv 2011.10650) as a Keras model."""

import keras
import tensorflow as tf

from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.layers.decoder import Decoder
from pcvae.layers.encoder import Encoder
from pcvae.layers.heads import make_head
from pcvae.layers.levels import last_level_of_resolutions, prefix_lengths
from pcvae.layers.prefix_decoder import PrefixDecoder
from pcvae.models.fitting import Fitting, metrics_in_bits_per_dim
from pcvae.models.inference import Inference
from pcvae.outputs import VDVAEOutput


@keras.saving.register_keras_serializable(package="pcvae")
class VDVAE(Inference, Fitting, keras.Model):
    """A hierarchical VAE with a bottom-up encoder and a top-down decoder.

    Images are uint8 [batch, height, width, channels]. The level i of the decoder, coarsest first,
    has a latent z_i with prior p(z_i | z_<i) and posterior q(z_i | x, z_<i); the head gives
    p(x | z_1:L). Layer strings are in the published notation, see `layers.levels`.

    ``model(images)`` gives a `VDVAEOutput`. The methods `sample`, `reconstruct`, `encode`,
    `decode` and `rate_per_level` work on uint8 arrays. ``model.compile(optimizer=...)`` and
    ``model.fit(images)`` minimise the negative ELBO in nats per dimension; the trainers of
    `pcvae.training` add what a long run needs.

    Args:
        image_shape: (height, width, channels), height equal to width; by default square RGB of
            the encoder's first resolution.
        encoder_blocks: the encoder's layer string.
        decoder_blocks: the decoder's layer string.
        width: channels at every resolution that `width_per_resolution` does not name.
        latent_width: channels of each latent (z in the published presets).
        bottleneck: width of a block's bottleneck as a fraction of the width.
        width_per_resolution: {resolution: width} or ``"64:32,32:48"``.
        no_bias_above: the finest resolution that starts from a learned bias.
        head: "logistic_mixture", "linear", "gaussian" or "bernoulli".
        num_mixtures: components of the logistic mixture.
        bit_depth: bits of a pixel that the likelihood sees, 1 to 8.
        pixel_mean: what is subtracted from the pixels before the encoder, on [0, 255].
        pixel_std: what they are divided by then.
        num_latent_levels: the levels, coarsest first, that have a latent: a number, or a
            resolution such as ``"4x4"`` for all up to it; the ones after them are deterministic.
            None for all, as published.
        prefix_decoders: prefixes of the latents, as numbers or resolutions, each with a
            `PrefixDecoder` of its own that is trained together with the model. The prefix of all
            levels is not among them: the model itself decodes it.
        split_levels: level indices that start a stack of their own.
        unroll: whether stacks are written out instead of looped.

    Raises:
        UserError: the arguments do not fit together.
    """

    def __init__(
        self,
        image_shape=None,
        encoder_blocks="32x11,32d2,16x6,16d2,8x6,8d2,4x3,4d4,1x3",
        decoder_blocks="1x1,4m1,4x2,8m4,8x5,16m8,16x10,32m16,32x21",
        width=384,
        latent_width=16,
        bottleneck=0.25,
        width_per_resolution="",
        no_bias_above=64,
        head="logistic_mixture",
        num_mixtures=10,
        bit_depth=8,
        pixel_mean=127.5,
        pixel_std=127.5,
        num_latent_levels=None,
        split_levels=(),
        unroll=False,
        prefix_decoders=(),
        **kwargs,
    ):
        kwargs.setdefault("name", "vdvae")
        super().__init__(**kwargs)
        _check_positive_integers(width=width, latent_width=latent_width, num_mixtures=num_mixtures)
        channels = 3 if image_shape is None else int(image_shape[-1])
        shared = {
            "width": width,
            "bottleneck": bottleneck,
            "width_per_resolution": width_per_resolution,
            "unroll": unroll,
            "dtype": self.dtype_policy,
        }
        self.encoder = Encoder(encoder_blocks, channels=channels, name="encoder", **shared)
        shared_by_decoders = {
            **shared,
            "blocks": decoder_blocks,
            "latent_width": latent_width,
            "no_bias_above": no_bias_above,
        }
        self.decoder = Decoder(
            num_latent_levels=num_latent_levels,
            split_levels=split_levels,
            name="decoder",
            **shared_by_decoders,
        )
        self.prefix_decoders = [
            PrefixDecoder(
                num_latent_levels=length,
                channels=channels,
                name=f"prefix_decoder_{length:03d}",
                **shared_by_decoders,
            )
            for length in _inner_prefixes(prefix_decoders, self.decoder.resolutions)
        ]
        self.head = make_head(
            head, channels, bit_depth, num_mixtures, dtype=self.dtype_policy, name="head"
        )
        side = self.encoder.image_size
        self.image_shape = tuple(map(int, image_shape or (side, side, channels)))
        _check_shapes(self)
        self.pixel_mean = pixel_mean
        self.pixel_std = pixel_std
        self._arguments = {
            "image_shape": list(self.image_shape),
            "encoder_blocks": encoder_blocks,
            "decoder_blocks": decoder_blocks,
            "width": width,
            "latent_width": latent_width,
            "bottleneck": bottleneck,
            "width_per_resolution": self.decoder.width_per_resolution,
            "no_bias_above": no_bias_above,
            "head": head,
            "num_mixtures": num_mixtures,
            "bit_depth": bit_depth,
            "pixel_mean": pixel_mean,
            "pixel_std": pixel_std,
            "num_latent_levels": num_latent_levels,
            "split_levels": list(split_levels),
            "unroll": unroll,
            "prefix_decoders": [decoder.num_levels for decoder in self.prefix_decoders],
        }
        self._metrics_in_bits_per_dim = metrics_in_bits_per_dim()
        self.build((None, *self.image_shape))

    def build(self, input_shape):
        if not self.built:
            side = self.image_shape[0]
            self.encoder.build((None, *self.image_shape))
            self.decoder.build()
            self.head.build((None, side, side, self.decoder.width_at(side)))
            for prefix_decoder in self.prefix_decoders:
                prefix_decoder.build()

    @property
    def num_levels(self):
        """Number of levels of latents."""
        return self.decoder.num_levels

    @property
    def level_resolutions(self):
        """Resolution of each level, coarsest first."""
        return self.decoder.resolutions

    @property
    def prefixes(self):
        """{resolution: K}: the prefixes z_1:K at which a resolution is complete."""
        groups = [group for group in self.decoder.groups if self.decoder.has_latents(group)]
        return last_level_of_resolutions(groups)

    @property
    def decoded_prefixes(self):
        """Numbers of levels K of the prefixes that the model decodes; the last holds all levels."""
        return (*(decoder.num_levels for decoder in self.prefix_decoders), self.num_levels)

    def activations(self, images):
        """The bottom-up pass: uint8 images to {resolution: [batch, r, r, width]}."""
        pixels = tf.cast(images, tf.float32)
        return self.encoder((pixels - self.pixel_mean) / self.pixel_std)

    def __call__(self, images, *args, **kwargs):
        """Checks the images, then calls the layer: Keras would wrap errors of `call` in lines.

        Raises:
            UserError: the images are not uint8 [batch, height, width, channels].
        """
        return super().__call__(self.check_batch(images), *args, **kwargs)

    def call(self, images, noise=None, keep_latents=False):
        """The posterior pass.

        Args:
            images: uint8 [batch, height, width, channels].
            noise: a `SeededNoise` or `GivenNoise`; by default that of seed 0.
            keep_latents: whether the output holds the latents.

        Returns:
            A `VDVAEOutput`.
        """
        noise = seeded_noise(0) if noise is None else noise
        decoded = self.decoder.infer(
            self.activations(images), noise, keep_latents or bool(self.prefix_decoders)
        )
        params = self.head(decoded.features)
        likely = self.head.has_likelihood
        return VDVAEOutput(
            head_params=params,
            reconstruction=self.head.mean(params),
            latents=decoded.latents if keep_latents else (),
            rate_per_level=decoded.rate_per_level,
            nll=self.head.negative_log_likelihood(params, images) if likely else None,
            prefix_reconstructions={
                decoder.num_levels: decoder(decoded.latents) for decoder in self.prefix_decoders
            },
        )

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype_policy.name, **self._arguments}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _inner_prefixes(prefixes, resolutions):
    """Returns the lengths of the prefixes that get a decoder, ascending."""
    lengths = prefix_lengths(prefixes, resolutions, "prefix_decoders")
    if lengths and lengths[-1] == len(resolutions):
        raise UserError(
            f"prefix_decoders: expected prefixes of less than all {len(resolutions)} levels, whose "
            f"decoder is the model itself; got {prefixes!r}"
        )
    return lengths


def _check_shapes(model):
    height, width, _ = model.image_shape
    side, decoder_side = model.encoder.image_size, model.decoder.image_size
    if height != width:
        raise UserError(f"image_shape: expected square images, got {model.image_shape}")
    if height != side:
        raise UserError(
            f"images are {height}x{width} but encoder_blocks start at resolution {side}: choose "
            f"layer strings for {height} or an image size of {side}"
        )
    if decoder_side != side:
        raise UserError(
            f"decoder_blocks end at resolution {decoder_side} but encoder_blocks start at {side}"
        )
    known = {group.resolution // (group.pool or 1) for group in model.encoder.groups} | {side}
    missing = sorted({group.resolution for group in model.decoder.groups} - known)
    if missing:
        raise UserError(f"decoder_blocks use resolution {missing[0]}, which encoder_blocks lack")


def _check_positive_integers(**values):
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{name}: expected an integer of at least 1, got {value!r}")
