"""VDVAEs whose layer strings follow from the side of the images."""

import itertools
from collections.abc import Sequence
from typing import Any

from pcvae.checks import check_counts, check_image_shape, check_integer
from pcvae.errors import UserError
from pcvae.layers.levels import parse_decoder_blocks
from pcvae.models.conditional import ConditionalVDVAE
from pcvae.models.vdvae import VDVAE


def small_layer_strings(
    image_size: int,
    blocks_per_resolution: int = 0,
    levels_per_resolution: int = 1,
    coarsest_resolution: int = 1,
    halves_down_to: int = 4,
) -> tuple[str, str]:
    """Returns layer strings that halve the side down to 4 (or to an odd number), then go to 1.

    Args:
        image_size: side of the images.
        blocks_per_resolution: encoder blocks at each resolution besides the one that pools; sides
            of at most 8, which cost little, get one more.
        levels_per_resolution: top-down levels at each resolution; sides of at most 8 get one more.
        coarsest_resolution: where the levels begin.
        halves_down_to: the side, 2 to 8, that is not halved any more.

    Returns:
        (encoder_blocks, decoder_blocks), such as ``"16d2,8x1,8d2,4x1,4d4,1x1"`` and
        ``"1x2,4m1,4x1,8m4,8x1,16m8"`` for 16.

    Raises:
        UserError: the side does not halve down to 8 or less, or never to the coarsest resolution.
    """
    sides = [image_size]
    check_integer("halves_down_to", halves_down_to, 2, 8)
    while sides[-1] % 2 == 0 and sides[-1] > halves_down_to:
        sides.append(sides[-1] // 2)
    if sides[-1] > 8 or image_size < 2:
        raise UserError(
            f"image size {image_size} does not halve down to 8 or less: choose a multiple of a "
            "power of two such as 32, 48 or 64, or give layer strings"
        )

    sides.append(1)
    if coarsest_resolution not in sides:
        raise UserError(
            f"coarsest_resolution: expected one of {', '.join(map(str, sides))}, got "
            f"{coarsest_resolution!r}"
        )
    sides = sides[: sides.index(coarsest_resolution) + 1]
    encoder, decoder = [], _repeated(sides[-1], levels_per_resolution)
    for side, coarser in itertools.pairwise(sides):
        encoder += _repeated(side, blocks_per_resolution)
        encoder.append(f"{side}d{side // coarser}")
        levels = [f"{side}m{coarser}", *_repeated(side, levels_per_resolution - 1)]
        decoder[1:1] = levels
    return ",".join([*encoder, f"{sides[-1]}x1"]), ",".join(decoder)


def _repeated(side, count):
    """Returns the token of equal blocks, one more where they cost little, or none."""
    count += side <= 8
    return [f"{side}x{count}"] if count else []


def small_vdvae(
    image_shape: Sequence[int] = (32, 32, 3),
    width: int = 96,
    min_width: int = 24,
    max_width: int = 128,
    blocks_per_resolution: int = 0,
    levels_per_resolution: int = 1,
    coarsest_resolution: int = 1,
    halves_down_to: int = 4,
    condition: str | None = None,
    condition_shape: Sequence[int] | None = None,
    num_classes: int | None = None,
    residual: bool = False,
    model_class: type[VDVAE] = VDVAE,
    **fields: Any,
) -> VDVAE:
    """Returns a small `VDVAE` for square images of any side that halves down to 8 or less.

    Its sizes are ours, chosen for training on a few cores: the width falls as the side grows, so
    that every resolution costs about as much.

    Args:
        image_shape: (height, width, channels).
        width: channels at side 8; at side s they are ``width * 8 / s`` within the next two.
        min_width: channels at the finest resolutions.
        max_width: channels at the coarsest resolutions.
        blocks_per_resolution: see `small_layer_strings`.
        levels_per_resolution: see `small_layer_strings`.
        coarsest_resolution: see `small_layer_strings`.
        halves_down_to: see `small_layer_strings`.
        condition: None, or the kind of a condition; see `make_condition`. A `VDVAE` with one is a
            `ConditionalVDVAE`.
        condition_shape: of an image or of features; see `make_condition`.
        num_classes: of labels.
        residual: of a model that is given an image; see `ConditionalVDVAE`.
        model_class: `VDVAE`, or one with another cell.
        **fields: other arguments of `VDVAE`, the fields of `Architecture` included. By default
            ``latent_width=8``, ``bottleneck=0.5`` and ``num_mixtures=3``.

    Raises:
        UserError: an argument is out of range or does not fit the others, or the side does not
            halve down to 8 or less.
    """
    check_counts(
        width=width,
        min_width=min_width,
        max_width=max_width,
        levels_per_resolution=levels_per_resolution,
    )
    check_integer("blocks_per_resolution", blocks_per_resolution, 0)
    side = check_image_shape(image_shape)[0]
    encoder_blocks, decoder_blocks = small_layer_strings(
        side, blocks_per_resolution, levels_per_resolution, coarsest_resolution, halves_down_to
    )
    sides = sorted(group.resolution for group in parse_decoder_blocks(decoder_blocks))
    widths = {s: max(min_width, min(max_width, width * 8 // s)) for s in sides}
    arguments = {
        "image_shape": image_shape,
        "encoder_blocks": encoder_blocks,
        "decoder_blocks": decoder_blocks,
        "width": widths[side],
        "width_per_resolution": widths,
        "latent_width": 8,
        "bottleneck": 0.5,
        "num_mixtures": 3,
        **fields,
    }
    if condition is None:
        if residual:
            raise UserError("residual: expected a condition to add to, the model is given none")
        return model_class(**arguments)
    if model_class is VDVAE:
        # The class by which conditional models are known in records.
        given = {"condition_shape": condition_shape, "num_classes": num_classes}
        given["residual"] = residual
        return ConditionalVDVAE(condition=condition, **given, **arguments)
    arguments["condition"] = {
        "kind": condition,
        "shape": condition_shape,
        "num_classes": num_classes,
        "encoder_blocks": encoder_blocks,
        "residual": residual,
    }
    return model_class(**arguments)
