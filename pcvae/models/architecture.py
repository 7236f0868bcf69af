"""The architecture of a convolutional hierarchy: one frozen record, checked as a whole."""

import dataclasses
from collections.abc import Sequence

from pcvae import units
from pcvae.checks import check_counts, check_integer
from pcvae.errors import UserError
from pcvae.layers.levels import (
    level_resolutions,
    parse_decoder_blocks,
    parse_encoder_blocks,
    prefix_length,
    prefix_lengths,
    width_function,
    widths_notation,
)
from pcvae.models.constructor_record import ConstructorRecord


@dataclasses.dataclass(frozen=True)
class Architecture(ConstructorRecord):
    """What a `VDVAE` is made of. Layer strings are in the published notation (`layers.levels`)."""

    encoder_blocks: str = "32x11,32d2,16x6,16d2,8x6,8d2,4x3,4d4,1x3"
    decoder_blocks: str = "1x1,4m1,4x2,8m4,8x5,16m8,16x10,32m16,32x21"
    # Channels at every resolution that `width_per_resolution` does not name.
    width: int = 384
    # Channels of each latent (z in the published presets).
    latent_width: int = 16
    # Width of a block's bottleneck as a fraction of the width.
    bottleneck: float = 0.25
    # {resolution: width} or "64:32,32:48".
    width_per_resolution: str | dict = ""
    # The finest resolution that starts from a learned bias.
    no_bias_above: int = 64
    # A key of `layers.HEADS`: "logistic_mixture", "linear", "gaussian", "gaussian_floor" ...
    head: str = "logistic_mixture"
    # Components of the logistic mixture.
    num_mixtures: int = 10
    # Bits of a pixel that the likelihood sees, 1 to 8.
    bit_depth: int = 8
    # How q is read from its network: "absolute", or "residual" for a shift and a scale of the prior
    # (Vahdat and Kautz 2020). None for what is usual with the level's cell, "absolute" of a VDVAE.
    posterior: str | None = None
    # What is subtracted from the pixels before the encoder, on [0, 255], then what divides them.
    pixel_mean: float = units.HALF_RANGE
    pixel_std: float = units.HALF_RANGE
    # The levels, coarsest first, that have a latent: a number, or a resolution such as "4x4" for
    # all up to it; the ones after them are deterministic. None for all, as published.
    num_latent_levels: int | str | None = None
    # Level indices that start a stack of their own, so that the levels before them can be frozen.
    split_levels: Sequence[int] = ()
    # Whether the levels of a stack are written out in the graph; tracing then takes longer.
    unroll: bool = False
    # The coarsest resolution whose levels are computed anew in the gradient, instead of being kept:
    # less memory, more time, the same values. None for none, 1 for all.
    recompute: int | None = None
    # A prefix, as a number or a resolution, whose networks share no weights with the rest: its
    # posterior has an encoder of its own, its levels stacks of their own (Shu and Ermon 2022,
    # section 5.1). None for the published sharing.
    unshared_prefix: int | str | None = None

    def __post_init__(self) -> None:
        check_counts(
            width=self.width, latent_width=self.latent_width, num_mixtures=self.num_mixtures
        )
        if self.recompute is not None:
            check_integer("recompute (a resolution, or None)", self.recompute, 1)
        # Plain values, as a record on disk holds them.
        settle = object.__setattr__
        settle(self, "width_per_resolution", widths_notation(self.width_per_resolution))
        settle(self, "split_levels", list(self.split_levels))
        if self.unshared_prefix is not None:
            length = prefix_length(self.unshared_prefix, self._resolutions, "unshared_prefix")
            settle(self, "unshared_prefix", length)

    @property
    def _resolutions(self):
        """The resolution of each level, those without latents included."""
        return level_resolutions(parse_decoder_blocks(self.decoder_blocks))

    @property
    def latent_resolutions(self) -> tuple[int, ...]:
        """The resolution of each level with latents, coarsest first."""
        if self.num_latent_levels is None:
            return self._resolutions
        prefix = self.num_latent_levels
        return self._resolutions[: prefix_length(prefix, self._resolutions, "num_latent_levels")]

    @property
    def least_num_weights(self) -> int:
        """A number of weights that no model of these levels is below, found without making one.

        Of each encoder block and of the prior and the posterior of each level it counts the two
        convolutions between width and bottleneck.
        """
        width_at = width_function(self.width, self.width_per_resolution)
        encoder = parse_encoder_blocks(self.encoder_blocks)
        sides = [group.resolution for group in encoder for _ in range(group.num_blocks)]
        widths = map(width_at, [*sides, *(2 * self._resolutions)])
        return sum(2 * width * int(width * self.bottleneck) for width in widths)

    @property
    def cuts(self) -> tuple[int, ...]:
        """The levels that start a stack: those asked for, and the end of an unshared prefix."""
        total = len(self._resolutions)
        cuts = {*self.split_levels}
        if self.unshared_prefix not in (None, total):
            cuts.add(self.unshared_prefix)
        return tuple(sorted(cuts))

    @property
    def rest_encoder_blocks(self) -> str:
        """The layer string of the encoder that the levels after an unshared prefix see.

        It ends at the coarsest resolution among them: no block of it would be seen beyond.

        Raises:
            UserError: no block is left.
        """
        if self.unshared_prefix is None:
            return self.encoder_blocks
        rest = self._resolutions[self.unshared_prefix :]
        if not rest:
            raise UserError(
                f"unshared_prefix: expected less than all {self.unshared_prefix} levels, or "
                "nothing is left to train on it"
            )
        coarsest = min(rest)
        kept = []
        for token in self.encoder_blocks.replace(" ", "").split(","):
            group = parse_encoder_blocks(token)[0]
            if group.resolution // (group.pool or 1) < coarsest:
                break
            kept.append(token)
        if not kept:
            raise UserError(
                f"encoder_blocks: the levels after the unshared prefix begin at {coarsest}x"
                f"{coarsest} and see no block of {self.encoder_blocks!r}: add one such as "
                f"'{coarsest}x1' before the pooling"
            )
        return ",".join(kept)


def inner_prefixes(prefixes: Sequence[int | str], made_of: Architecture) -> tuple[int, ...]:
    """Returns the lengths of the prefixes that get a readout, ascending.

    Args:
        prefixes: numbers of levels, or resolutions such as ``"4x4"``.
        made_of: the `Architecture` of the model.

    Raises:
        UserError: there is no such prefix, or it is the whole.
    """
    resolutions = made_of.latent_resolutions
    lengths = prefix_lengths(prefixes, resolutions, "prefix_decoders")
    if lengths and lengths[-1] == len(resolutions):
        raise UserError(
            f"prefix_decoders: expected prefixes of less than all {len(resolutions)} levels, whose "
            f"decoder is the model itself; got {prefixes!r}"
        )
    return lengths


def check_shapes(image_shape: tuple, encoder_groups: Sequence, decoder_groups: Sequence) -> None:
    """Checks that image shape and layer strings fit together.

    Args:
        image_shape: (height, width, channels).
        encoder_groups: the `EncoderGroup` of all encoders, the images' resolution first.
        decoder_groups: the `DecoderGroup` of the levels.

    Raises:
        UserError: they do not.
    """
    height, width, _ = image_shape
    side, decoder_side = encoder_groups[0].resolution, decoder_groups[-1].resolution
    if height != width:
        raise UserError(f"image_shape: expected square images, got {image_shape}")
    if height != side:
        raise UserError(
            f"images are {height}x{width} but encoder_blocks start at resolution {side}: choose "
            f"layer strings for {height} or an image size of {side}"
        )
    if decoder_side != side:
        raise UserError(
            f"decoder_blocks end at resolution {decoder_side} but encoder_blocks start at {side}"
        )
    known = {group.resolution // (group.pool or 1) for group in encoder_groups} | {side}
    coarsest = min(group.resolution for group in decoder_groups)
    if min(known) < coarsest:
        raise UserError(
            f"encoder_blocks go down to resolution {min(known)}, which no level sees: "
            f"decoder_blocks begin at {coarsest}"
        )
    missing = sorted({group.resolution for group in decoder_groups} - known)
    if missing:
        raise UserError(f"decoder_blocks use resolution {missing[0]}, which encoder_blocks lack")
