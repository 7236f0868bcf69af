"""VDVAEs whose layer strings follow from the side of the images."""

from pcvae.errors import UserError
from pcvae.models.vdvae import VDVAE


def small_layer_strings(image_size, blocks_per_resolution=1, levels_per_resolution=2):
    """Returns layer strings that halve the side down to 4 (or an odd number) and then go to 1.

    Args:
        image_size: side of the images.
        blocks_per_resolution: encoder blocks at each resolution besides the one that pools.
        levels_per_resolution: top-down levels at each resolution but the coarsest.

    Returns:
        (encoder_blocks, decoder_blocks), such as ``"8x1,8d2,4x1,4d4,1x1"`` and
        ``"1x1,4m1,4x1,8m4,8x1"`` for 8 with one block and two levels.

    Raises:
        UserError: the side does not halve down to 8 or less.
    """
    sides = [image_size]
    while sides[-1] % 2 == 0 and sides[-1] > 4:
        sides.append(sides[-1] // 2)
    if sides[-1] > 8 or image_size < 2:
        raise UserError(
            f"image size {image_size} does not halve down to 8 or less: choose a multiple of a "
            "power of two such as 32, 48 or 64, or give layer strings"
        )
    encoder, decoder = [], [f"1x1,{sides[-1]}m1"]
    for side, coarser in zip(sides, [*sides[1:], 1], strict=True):
        encoder.append(f"{side}x{blocks_per_resolution},{side}d{side // coarser}")
    for coarser, side in zip([1, *sides[:0:-1]], sides[::-1], strict=True):
        if coarser > 1:
            decoder.append(f"{side}m{coarser}")
        if levels_per_resolution > 1:
            decoder.append(f"{side}x{levels_per_resolution - 1}")
    return ",".join([*encoder, "1x1"]), ",".join(decoder)


def small_vdvae(
    image_shape=(32, 32, 3),
    width=64,
    latent_width=8,
    blocks_per_resolution=1,
    levels_per_resolution=2,
    **vdvae_arguments,
):
    """Returns a small VDVAE for square images of any side that halves down to 8 or less.

    Args:
        image_shape: (height, width, channels).
        width: channels at every resolution.
        latent_width: channels of each latent.
        blocks_per_resolution: see `small_layer_strings`.
        levels_per_resolution: see `small_layer_strings`.
        **vdvae_arguments: further arguments of `VDVAE`.
    """
    encoder_blocks, decoder_blocks = small_layer_strings(
        image_shape[0], blocks_per_resolution, levels_per_resolution
    )
    return VDVAE(
        image_shape=image_shape,
        encoder_blocks=encoder_blocks,
        decoder_blocks=decoder_blocks,
        width=width,
        latent_width=latent_width,
        **vdvae_arguments,
    )
