"""Whether the arguments of a VDVAE fit together."""

from pcvae.errors import UserError
from pcvae.layers.levels import (
    level_resolutions,
    parse_decoder_blocks,
    parse_encoder_blocks,
    prefix_lengths,
)


def cuts(split_levels, unshared_prefix, decoder_blocks):
    """Returns the levels that start a stack: those asked for, and the end of an unshared prefix."""
    total = len(level_resolutions(parse_decoder_blocks(decoder_blocks)))
    cuts = {*split_levels, *([] if unshared_prefix is None else [unshared_prefix])}
    return tuple(sorted(cuts - ({total} if unshared_prefix == total else set())))


def rest_encoder_blocks(encoder_blocks, unshared_prefix, decoder_blocks):
    """Returns the layer string of the encoder that the levels after an unshared prefix see.

    It ends at the coarsest resolution among them: no block of it would be seen beyond.

    Raises:
        UserError: no block is left.
    """
    rest = level_resolutions(parse_decoder_blocks(decoder_blocks))[unshared_prefix:]
    if not rest:
        raise UserError(
            f"unshared_prefix: expected less than all {unshared_prefix} levels, or nothing is left "
            "to train on it"
        )
    coarsest = min(rest)
    kept = []
    for token in encoder_blocks.replace(" ", "").split(","):
        group = parse_encoder_blocks(token)[0]
        if group.resolution // (group.pool or 1) < coarsest:
            break
        kept.append(token)
    if not kept:
        raise UserError(
            f"encoder_blocks: the levels after the unshared prefix begin at {coarsest}x{coarsest} "
            f"and see no block of {encoder_blocks!r}: add one such as '{coarsest}x1' before the "
            "pooling"
        )
    return ",".join(kept)


def inner_prefixes(prefixes, resolutions):
    """Returns the lengths of the prefixes that get a decoder, ascending."""
    lengths = prefix_lengths(prefixes, resolutions, "prefix_decoders")
    if lengths and lengths[-1] == len(resolutions):
        raise UserError(
            f"prefix_decoders: expected prefixes of less than all {len(resolutions)} levels, whose "
            f"decoder is the model itself; got {prefixes!r}"
        )
    return lengths


def check_shapes(model):
    """Checks that image shape and layer strings of a VDVAE fit together.

    Raises:
        UserError: they do not.
    """
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
    encoders = filter(None, (model.encoder, model.prefix_encoder))
    groups = [group for encoder in encoders for group in encoder.groups]
    known = {group.resolution // (group.pool or 1) for group in groups} | {side}
    missing = sorted({group.resolution for group in model.decoder.groups} - known)
    if missing:
        raise UserError(f"decoder_blocks use resolution {missing[0]}, which encoder_blocks lack")


def check_positive_integers(**values):
    """Checks that each of the named values is an integer of at least 1.

    Raises:
        UserError: one is not.
    """
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{name}: expected an integer of at least 1, got {value!r}")
