"""The very deep VAE (Child 2020, arXiv 2011.10650) as a Keras model."""

import keras

from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.layers.decoder import Decoder
from pcvae.layers.encoder import Encoder
from pcvae.layers.heads import make_head
from pcvae.layers.levels import (
    last_level_of_resolutions,
    level_resolutions,
    parse_decoder_blocks,
    prefix_length,
)
from pcvae.layers.prefix_decoder import PrefixDecoder
from pcvae.models.arguments import (
    check_positive_integers,
    check_shapes,
    cuts,
    inner_prefixes,
    rest_encoder_blocks,
)
from pcvae.models.fitting import Fitting, metrics_in_bits_per_dim
from pcvae.models.inference import Inference
from pcvae.models.passes import Passes
from pcvae.models.weights import NamedWeights


@keras.saving.register_keras_serializable(package="pcvae")
class VDVAE(Passes, Inference, Fitting, NamedWeights, keras.Model):
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
        unshared_prefix: a prefix, as a number or a resolution, whose networks share no weights
            with the rest: its posterior has an encoder of its own, its levels stacks of their own,
            so that `freeze_prefix` can hold p(z_1:K) and q(z_1:K | x) (Shu and Ermon 2022, section
            5.1). None for the published sharing.
        condition: a `Condition`, what `ConditionalVDVAE` adds; None for an unconditional model.

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
        unshared_prefix=None,
        condition=None,
        **kwargs,
    ):
        kwargs.setdefault("name", "vdvae")
        super().__init__(**kwargs)
        check_positive_integers(width=width, latent_width=latent_width, num_mixtures=num_mixtures)
        channels = 3 if image_shape is None else int(image_shape[-1])
        shared = {
            "width": width,
            "bottleneck": bottleneck,
            "width_per_resolution": width_per_resolution,
            "unroll": unroll,
            "dtype": self.dtype_policy,
        }
        shared_by_encoders = {
            **shared,
            "channels": channels,
            "condition_channels": condition.channels if condition else 0,
        }
        self.prefix_encoder, self.unshared_prefix = None, None
        rest_blocks = encoder_blocks
        if unshared_prefix is not None:
            resolutions = level_resolutions(parse_decoder_blocks(decoder_blocks))
            length = prefix_length(unshared_prefix, resolutions, "unshared_prefix")
            self.unshared_prefix = length
            rest_blocks = rest_encoder_blocks(encoder_blocks, length, decoder_blocks)
            self.prefix_encoder = Encoder(
                encoder_blocks, name="prefix_encoder", **shared_by_encoders
            )
        self.encoder = Encoder(rest_blocks, name="encoder", **shared_by_encoders)
        shared_by_decoders = {
            **shared,
            "blocks": decoder_blocks,
            "latent_width": latent_width,
            "no_bias_above": no_bias_above,
        }
        self.decoder = Decoder(
            num_latent_levels=num_latent_levels,
            split_levels=cuts(split_levels, self.unshared_prefix, decoder_blocks),
            gated=condition is not None,
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
            for length in inner_prefixes(prefix_decoders, self.decoder.resolutions)
        ]
        self.head = make_head(
            head, channels, bit_depth, num_mixtures, dtype=self.dtype_policy, name="head"
        )
        self.condition, self.condition_encoder = condition, None
        if condition is not None:
            sides = sorted({group.resolution for group in self.decoder.groups})
            self.condition_encoder = condition.make_layer(sides, self.decoder.width_at, **shared)
        side = self.encoder.image_size
        self.image_shape = tuple(map(int, image_shape or (side, side, channels)))
        check_shapes(self)
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
            "unshared_prefix": self.unshared_prefix,
        }
        self._metrics_in_bits_per_dim = metrics_in_bits_per_dim()
        self.build((None, *self.image_shape))

    def build(self, input_shape):
        if not self.built:
            side = self.image_shape[0]
            for encoder in filter(None, (self.encoder, self.prefix_encoder)):
                encoder.build((None, *self.image_shape))
            if self.condition_encoder is not None:
                self.condition_encoder.build(None)
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
        """Numbers of levels K of the prefixes z_1:K at which a resolution is complete."""
        groups = [group for group in self.decoder.groups if self.decoder.has_latents(group)]
        return tuple(last_level_of_resolutions(groups).values())

    @property
    def decoded_prefixes(self):
        """Numbers of levels K of the prefixes that the model decodes; the last holds all levels."""
        return (*(decoder.num_levels for decoder in self.prefix_decoders), self.num_levels)

    @property
    def prefix_weights(self):
        """{name: variable} of the networks of the unshared prefix: q(z_1:K | x) and p(z_1:K).

        The learned start of a resolution belongs to the prefix that begins there.
        """
        if self.unshared_prefix is None:
            return {}
        groups = self.decoder.groups
        inner = [group for group in groups if group.first_level < self.unshared_prefix]
        roots = ["prefix_encoder/"]
        roots += [f"decoder/levels_{group.first_level:03d}/" for group in inner]
        roots += [f"decoder/bias_{group.resolution:03d}" for group in inner]
        return {
            name: weight
            for name, weight in self.named_weights.items()
            if name.startswith(tuple(roots))
        }

    def freeze_prefix(self):
        """Holds the networks of the unshared prefix; the trainers then move the rest alone.

        Raises:
            UserError: the model has no unshared prefix.
        """
        if self.unshared_prefix is None:
            raise UserError("freeze_prefix needs a model with unshared_prefix=K")
        self.freeze(self.prefix_weights)

    def __call__(self, images, *args, **kwargs):
        """Checks the images, then calls the layer: Keras would wrap errors of `call` in lines.

        Raises:
            UserError: the images are not uint8 [batch, height, width, channels].
        """
        return super().__call__(self.check_batch(images), *args, **kwargs)

    def call(self, images, noise=None, keep_latents=False, condition=None):
        """The posterior pass; see `posterior_pass`. The noise is that of seed 0 by default."""
        noise = seeded_noise(0) if noise is None else noise
        return self.posterior_pass(images, noise, keep_latents, condition)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype_policy.name, **self._arguments}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
