"""Decoders that are fitted for prefixes of a model whose posterior is frozen.

The distortion of a prefix is D_k = min over d of E||x - d(z_1:k)||^2 with q as it is (Shu and Ermon
2022, section 3), so it takes a decoder of its own for each prefix.
"""

import functools
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf

from pcvae import units
from pcvae.checks import check_image_shape
from pcvae.distributions.noise import Noise, SeededNoise, make_seed, seeded_noise
from pcvae.errors import UserError
from pcvae.layers.levels import prefix_lengths
from pcvae.layers.readout import Readout
from pcvae.models import weights
from pcvae.models.architecture import Architecture
from pcvae.models.base import HierarchicalModel
from pcvae.models.batches import in_batches
from pcvae.models.registry import register
from pcvae.outputs import VDVAEOutput

# The fields of an architecture that the readouts of a model share with it, beside the layer string.
_SHARED = (
    "width",
    "latent_width",
    "bottleneck",
    "width_per_resolution",
    "no_bias_above",
    "unroll",
    "recompute",
)


def prefixes_of(
    model: HierarchicalModel,
    prefixes: Sequence[int | str] | None = None,
    what: str = "prefixes",
) -> tuple[int, ...]:
    """Returns the numbers of levels of prefixes of a model, ascending.

    Args:
        model: a `HierarchicalModel`.
        prefixes: numbers of levels, or resolutions such as ``"4x4"``; None for each prefix at which
            a resolution is complete.
        what: how they are called in an error.

    Raises:
        UserError: there is no such prefix, or one stands twice.
    """
    prefixes = model.prefixes if prefixes is None else prefixes
    return prefix_lengths(prefixes, model.level_resolutions, what)


def make_readout(made_of: Architecture, num_levels: int, channels: int, dtype: Any) -> Readout:
    """Returns a new decoder d_K of a prefix, not built yet, in the form of a model's own decoder.

    Args:
        made_of: the `Architecture` of the model.
        num_levels: K.
        channels: of the images.
        dtype: policy of the layer.
    """
    shared = {name: getattr(made_of, name) for name in _SHARED}
    return Readout(
        made_of.decoder_blocks,
        num_latent_levels=num_levels,
        channels=channels,
        dtype=dtype,
        name=f"prefix_decoder_{num_levels:03d}",
        **shared,
    )


@register
class PrefixDecoders(keras.Model):
    """A `Readout` for each of several prefixes, all of the form of one model's decoder.

    Args:
        prefixes: the prefixes, as numbers of levels or resolutions such as ``"4x4"``.
        image_shape: (height, width, channels).
        **fields: the fields of the model's `Architecture` that say what a readout is, and ``name``
            and ``dtype`` of a Keras model.

    Raises:
        UserError: the arguments do not fit together, or there is no such prefix.
    """

    named_weights = property(weights.named_weights)
    trained_weights = property(weights.trained_weights)
    statistics = property(weights.statistics)
    frozen_weights = property(weights.frozen_weights)
    freeze = weights.freeze
    twin = weights.twin
    __deepcopy__ = weights.deep_copy

    @Architecture.as_arguments
    def __init__(
        self,
        prefixes: Sequence[int | str],
        image_shape: Sequence[int],
        *,
        name: str = "prefix_decoders",
        dtype: Any = None,
        **fields: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype, autocast=False)
        made_of = Architecture.of(fields, type(self).__name__)
        self.image_shape = check_image_shape(image_shape)
        self.prefixes = prefix_lengths(prefixes, made_of.latent_resolutions)
        self._made_of = made_of
        channels = self.image_shape[-1]
        self.decoders = [
            make_readout(made_of, length, channels, self.dtype_policy) for length in self.prefixes
        ]
        self.build()

    @classmethod
    def for_model(
        cls, model: HierarchicalModel, prefixes: Sequence[int | str] | None = None
    ) -> Self:
        """Returns fresh readouts for prefixes of a model.

        Args:
            model: one with an `Architecture`.
            prefixes: see the constructor; by default each prefix at which a resolution is complete.

        Raises:
            UserError: the model is one of several stages, is given a condition, or has no
                `Architecture`.
        """
        if len(model.stage_ends) > 1 or model.condition is not None:
            raise UserError(
                f"{model.name}: decoders are fitted to prefixes of an unconditional model of one "
                "stage alone: fit those of a first stage on its own run (--run_dir), and leave "
                "--refit_steps out here"
            )
        made_of = model.architecture
        if made_of is None:
            raise UserError(
                f"{model.name}: decoders of prefixes take their form from the architecture of a "
                f"convolutional model, {type(model).__name__} has none"
            )
        lengths, dtype = prefixes_of(model, prefixes), model.dtype_policy.name
        return cls(lengths, model.image_shape, dtype=dtype, **_fields(made_of))

    def build(self, input_shape: Any = None) -> None:
        if not self.built:
            for decoder in self.decoders:
                decoder.build()
            self.built = True

    def call(self, latents: Sequence[tf.Tensor]) -> dict[int, tf.Tensor]:
        """Decodes every prefix of the latents, each with its own decoder.

        Args:
            latents: tensors [batch, side, side, latent_width], coarsest first, as many as the
                longest prefix has.

        Returns:
            {K: float32 [batch, height, width, channels] in [-1, 1]}, ascending in K.
        """
        return {decoder.num_levels: decoder(latents) for decoder in self.decoders}

    def get_config(self) -> dict:
        return {
            "name": self.name,
            "dtype": self.dtype_policy.name,
            "prefixes": list(self.prefixes),
            "image_shape": list(self.image_shape),
            **_fields(self._made_of),
        }


def _fields(made_of):
    """Returns the fields of an architecture from which its readouts are made again."""
    names = ("decoder_blocks", *_SHARED, "num_latent_levels")
    return {name: getattr(made_of, name) for name in names}


class RefittedPrefixes:
    """A frozen model with fresh decoders for its prefixes, in the form that trainers take.

    ``model(images, noise)`` draws the latents from the frozen posterior, once for all decoders, and
    lets no gradient through. Its `trained_weights` are those of the decoders alone: optimizer,
    average and checkpoints never meet the frozen ones.

    Args:
        frozen_model: a `VDVAE`; nothing here changes it.
        decoders: the `PrefixDecoders` of some of its prefixes.
    """

    def __init__(self, frozen_model: HierarchicalModel, decoders: PrefixDecoders) -> None:
        self.frozen_model = frozen_model
        self.decoders = decoders
        self.image_shape = frozen_model.image_shape
        self.level_resolutions = frozen_model.level_resolutions
        self.dtype_policy = decoders.dtype_policy

    @property
    def trained_weights(self) -> dict:
        """{name: variable} of the decoders."""
        return self.decoders.named_weights

    named_weights = trained_weights
    statistics: ClassVar[dict] = {}  # see `HierarchicalModel`

    @property
    def decoded_prefixes(self) -> tuple[int, ...]:
        """Numbers of levels of the prefixes, ascending."""
        return self.decoders.prefixes

    def __call__(
        self, images: tf.Tensor, noise: Noise | None = None, training: bool = False
    ) -> VDVAEOutput:
        """Decodes one posterior sample of each image by every decoder.

        Args:
            images: uint8 [batch, height, width, channels].
            noise: a `SeededNoise` or `GivenNoise`; by default that of seed 0.
            training: not used: the frozen model is never trained.

        Returns:
            A `VDVAEOutput`: the true rates of all levels, the reconstruction of the longest
            prefix, no likelihood and no parameters of a head.
        """
        noise = seeded_noise(0) if noise is None else noise
        frozen = self.frozen_model
        decoded = frozen.posterior_output(images, noise, keep_latents=True)
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

    def reconstruct(self, images: np.ndarray, seed: Any = 0, batch_size: int = 64) -> dict:
        """Reconstructs images from every prefix.

        Args:
            images: uint8 [num_images, height, width, channels].
            seed: integer, of the posterior.
            batch_size: images at once.

        Returns:
            {K: uint8 [num_images, height, width, channels]}.
        """
        images, seed = self.frozen_model.check_images(images), make_seed(seed)

        def run(here):
            return self._reconstruct_graph(images[here], seed, here.start)

        return in_batches(run, len(images), batch_size)

    @functools.cached_property
    def _reconstruct_graph(self):
        def reconstruct(images, seed, first_image):
            output = self(images, SeededNoise(seed, first_image))
            return {
                k: units.images_from_signed(image)
                for k, image in output.prefix_reconstructions.items()
            }

        signature = (
            tf.TensorSpec((None, *self.image_shape), tf.uint8),
            tf.TensorSpec((2,), tf.int32),
            tf.TensorSpec((), tf.int64),
        )
        return tf.function(reconstruct, input_signature=signature, autograph=False)
