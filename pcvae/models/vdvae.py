"""The very deep VAE (Child 2020, arXiv 2011.10650) as a Keras model."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import tensorflow as tf

from pcvae.checks import check_bytes, check_image_shape
from pcvae.distributions.noise import Noise
from pcvae.errors import UserError
from pcvae.layers.cells import VDVAECell
from pcvae.layers.encoder import Encoder
from pcvae.layers.heads import make_head
from pcvae.layers.levels import parse_encoder_blocks
from pcvae.layers.plan import Plan
from pcvae.layers.residual import BottleneckBlock
from pcvae.layers.top_down import TopDown, UnsharedActivations
from pcvae.models.architecture import Architecture, check_shapes, inner_prefixes
from pcvae.models.base import HierarchicalModel
from pcvae.models.conditions import UNCONDITIONAL, Condition, GivenCondition, make_condition
from pcvae.models.description import Level, LevelRow, StageDescription
from pcvae.models.readouts import make_readout
from pcvae.models.recorded import BYTES_PER_WEIGHT
from pcvae.models.registry import register
from pcvae.outputs import Trace


@register
class VDVAE(HierarchicalModel):
    """A hierarchical VAE with a bottom-up encoder and a top-down walk.

    The level i, coarsest first, has a latent z_i with prior p(z_i | z_<i) and posterior
    q(z_i | x, z_<i); the head gives p(x | z_1:L).

    Args:
        image_shape: (height, width, channels), height equal to width; by default square RGB of
            the encoder's first resolution.
        condition: a `Condition`, or the arguments of `make_condition` by name; None for an
            unconditional model.
        prefix_decoders: prefixes of the latents, as numbers or resolutions, each with a readout of
            its own that is trained together with the model. The prefix of all levels is not among
            them: the model itself decodes it.
        frozen: names of weights that are held; see `freeze`.
        name: by default that of the class.
        **fields: the fields of an `Architecture`, and ``dtype`` of a Keras model.

    Raises:
        UserError: the arguments do not fit together.
    """

    # What one level computes; another cell makes another model.
    cell_class: ClassVar[type] = VDVAECell
    # What the encoder is made of.
    encoder_block_class: ClassVar[type] = BottleneckBlock

    @Architecture.as_arguments
    def __init__(
        self,
        image_shape: Sequence[int] | None = None,
        condition: Condition | dict | None = None,
        prefix_decoders: Sequence[int | str] = (),
        frozen: Sequence[str] = (),
        *,
        name: str | None = None,
        dtype: Any = None,
        **fields: Any,
    ) -> None:
        made_of = Architecture.of(fields, type(self).__name__)
        side = parse_encoder_blocks(made_of.encoder_blocks)[0].resolution
        image_shape = check_image_shape((side, side, 3) if image_shape is None else image_shape)
        if isinstance(condition, dict):
            condition = make_condition(image_shape=image_shape, **condition)
        name = name or type(self).__name__.lower()
        super().__init__(image_shape, condition, name=name, dtype=dtype)
        self.architecture = made_of
        wanted = BYTES_PER_WEIGHT * made_of.least_num_weights
        what = f"any model with these levels and width={made_of.width}"
        check_bytes(what, wanted, "its weights", ": give a smaller width")
        self._make_layers(inner_prefixes(prefix_decoders, made_of))
        self.build((None, *self.image_shape))
        self.freeze(frozen)

    def _make_layers(self, readout_lengths):
        made_of, condition = self.architecture, self.condition
        channels = self.image_shape[-1]
        shared = {
            "width": made_of.width,
            "bottleneck": made_of.bottleneck,
            "width_per_resolution": made_of.width_per_resolution,
            "unroll": made_of.unroll,
            "recompute": made_of.recompute,
            "dtype": self.dtype_policy,
        }
        seen = {
            "channels": channels,
            "condition_channels": condition.channels if condition else 0,
            "block_class": self.encoder_block_class,
        }
        self.prefix_encoder = self.condition_encoder = None
        if made_of.unshared_prefix is not None:
            blocks = made_of.encoder_blocks
            self.prefix_encoder = Encoder(blocks, name="prefix_encoder", **shared, **seen)
        self.encoder = Encoder(made_of.rest_encoder_blocks, name="encoder", **shared, **seen)
        self.decoder = TopDown(
            made_of.decoder_blocks,
            cell=self.cell_class,
            posterior=made_of.posterior,
            latent_width=made_of.latent_width,
            no_bias_above=made_of.no_bias_above,
            num_latent_levels=made_of.num_latent_levels,
            split_levels=made_of.cuts,
            gated=condition is not None,
            name="decoder",
            **shared,
        )
        encoders = [self.prefix_encoder, self.encoder] if self.prefix_encoder else [self.encoder]
        encoder_groups = [group for encoder in encoders for group in encoder.groups]
        check_shapes(self.image_shape, encoder_groups, self.decoder.groups)
        self.prefix_decoders = [
            make_readout(made_of, k, channels, self.dtype_policy) for k in readout_lengths
        ]
        self.head = make_head(
            made_of.head,
            channels,
            made_of.bit_depth,
            made_of.num_mixtures,
            is_residual=condition is not None and condition.is_residual,
            dtype=self.dtype_policy,
            name="head",
        )
        if condition is not None:
            sides = sorted({group.resolution for group in self.decoder.groups})
            self.condition_encoder = condition.make_layer(sides, self.decoder.width_at, **shared)

    def build(self, input_shape: Any) -> None:
        if self.built:
            return
        side = self.image_shape[0]
        for encoder in filter(None, (self.encoder, self.prefix_encoder)):
            encoder.build((None, *self.image_shape))
        if self.condition_encoder is not None:
            self.condition_encoder.build(None)
        self.decoder.build()
        base = self.image_shape[-1] if self.head.is_residual else 0
        self.head.build((None, side, side, self.decoder.width_at(side) + base))
        for readout in self.prefix_decoders:
            readout.build()

    @property
    def levels(self) -> tuple[Level, ...]:
        width = self.decoder.latent_width
        return tuple(Level((side, side, width), side) for side in self.decoder.resolutions)

    def evidence(self, images: tf.Tensor, condition: GivenCondition) -> Any:
        """The bottom-up pass: uint8 images to {resolution: [batch, r, r, width]}.

        With an unshared prefix it returns an `UnsharedActivations`, such a dict for each encoder.
        """
        made_of = self.architecture
        pixels = (tf.cast(images, tf.float32) - made_of.pixel_mean) / made_of.pixel_std
        rest = self.encoder(pixels, condition.image)
        if self.prefix_encoder is None:
            return rest
        prefix = self.prefix_encoder(pixels, condition.image)
        return UnsharedActivations(prefix, rest, made_of.unshared_prefix)

    def walk(
        self,
        plan: Plan,
        noise: Noise,
        num_images: Any,
        evidence: Any = None,
        condition: GivenCondition = UNCONDITIONAL,
        keep: Sequence[str] = (),
    ) -> Trace:
        trace = self.decoder.walk(num_images, plan, noise, evidence, condition.maps, keep)
        if condition.base is None:
            return trace
        features = tf.cast(trace.features, tf.float32)
        return trace._replace(features=tf.concat([features, condition.base], axis=-1))

    def weights_of_prefix(self, num_levels: int) -> dict:
        """See `HierarchicalModel`. The learned start of a resolution counts where it begins.

        With the published sharing the encoder is among them, whole.
        """
        groups = [group for group in self.decoder.groups if group.first_level < num_levels]
        if groups[-1].first_level + groups[-1].num_levels != num_levels:
            raise UserError(
                f"prefix of {num_levels} levels: its last level shares a stack with later ones: "
                f"make the model with split_levels=[{num_levels}]"
            )
        own = self.architecture.unshared_prefix is not None
        own = own and num_levels <= self.architecture.unshared_prefix
        roots = ["prefix_encoder/"] if own else ["prefix_encoder/", "encoder/"]
        roots += [f"decoder/levels_{group.first_level:03d}/" for group in groups]
        roots += [f"decoder/bias_{group.resolution:03d}" for group in groups]
        roots += ["condition_encoder/"] if self.condition else []
        named = self.named_weights.items()
        return {name: weight for name, weight in named if name.startswith(tuple(roots))}

    def describe(self) -> tuple[StageDescription, ...]:
        stacks, rows = self.decoder.stacks, []
        for group, stack in zip(self.decoder.groups, stacks, strict=True):
            shape = self.decoder.latent_shape(group) if self.decoder.has_latents(group) else (0,)
            width = self.decoder.width_at(group.resolution)
            row = LevelRow(group.resolution, width, math.prod(shape), stack.params_per_level)
            rows += [row] * group.num_levels
        parts = {"encoder": self.encoder.count_params()}
        for name, layer in (
            ("prefix encoder", self.prefix_encoder),
            ("condition", self.condition_encoder),
        ):
            if layer is not None:
                parts[name] = layer.count_params()
        parts["levels"] = sum(row.num_params for row in rows)
        parts["head"] = self.head.count_params()
        if self.prefix_decoders:
            parts["prefixes"] = sum(readout.count_params() for readout in self.prefix_decoders)
        parts["biases, gain"] = self.count_params() - sum(parts.values())
        stage = StageDescription(
            self.image_shape, self.condition, self.num_levels, tuple(rows), parts
        )
        return (stage,)

    def get_config(self) -> dict:
        config = {
            "name": self.name,
            "dtype": self.dtype_policy.name,
            "image_shape": list(self.image_shape),
            **dataclasses.asdict(self.architecture),
            "prefix_decoders": list(self.readouts),
        }
        if self.condition is not None:
            config["condition"] = self.condition.get_config()
        if self.frozen_weights:
            config["frozen"] = list(self.frozen_weights)
        return config
