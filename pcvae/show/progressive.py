"""The progressive view: images and samples as their latents become known from coarse to fine."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure

from pcvae import units
from pcvae.measure.single_prefix import psnr_db_of_images
from pcvae.quantities import IS_UPPER_BOUND, bounds_prefixes
from pcvae.show.figures import own_settings, pixels
from pcvae.show.grids import captioned_grid, displayable, original_label

NOTHING = 0  # a prefix of no levels: everything is drawn


def progressive_reconstructions(
    model: keras.Model, images: np.ndarray, seed: int = 0, progress: Callable | None = None
) -> list[dict[str, Any]]:
    """Reconstructs images from each prefix, by what the model itself decodes it with.

    Args:
        model: a `VDVAE` or a model with its methods.
        images: uint8 [num_images, height, width, channels].
        seed: integer, of the posterior.
        progress: None, or a function that wraps the list of prefixes it iterates over.

    Returns:
        A list with one dict for each prefix at which a resolution is complete: ``num_levels``,
        ``resolution``, ``images`` uint8 as given, ``bits`` [num_images], the rate of the prefix in
        bits per image, ``rate_is_upper_bound``, whether it is at most that, and ``psnr_db``
        [num_images], of the 8-bit reconstruction; infinite where it is the image.
    """
    condition = _condition(model, images)
    nats = model.rate_per_level(images, seed=seed, condition=condition).astype(np.float64)
    columns, exact = [], model.rates_of_prefixes_are_exact
    for num_levels in (progress or list)(model.prefixes):
        made = model.reconstruct(images, num_levels, seed=seed, condition=condition)
        columns.append(
            {
                "num_levels": num_levels,
                "resolution": model.level_resolutions[num_levels - 1],
                "images": made,
                "bits": units.nats_to_bits(nats[:, :num_levels].sum(axis=1)),
                IS_UPPER_BOUND: not exact and num_levels < model.num_levels,
                "psnr_db": psnr_db_of_images(images, made),
            }
        )
    return columns


def reconstruction_picture(
    images: np.ndarray, columns: Sequence[Mapping[str, Any]], seed: int = 0
) -> np.ndarray:
    """Shows what `progressive_reconstructions` returns: a row per image, bits and PSNR under each.

    Args:
        images: uint8 [num_images, height, width, channels].
        columns: what `progressive_reconstructions` returns for them.
        seed: integer, that has chosen the images.

    Returns:
        uint8 [height, width, 3].
    """
    headers = [original_label(seed), *(_header(column) for column in columns)]
    rows, captions = [], []
    for index, image in enumerate(images):
        rows.append([image, *(column["images"][index] for column in columns)])
        captions.append(
            [
                "",
                *(
                    f"{'at most ' if bounds_prefixes(column) else ''}"
                    f"{_bits(column['bits'][index])}\n{_decibels(column['psnr_db'][index])}"
                    for column in columns
                ),
            ]
        )
    return captioned_grid(rows, captions, headers)


def progressive_samples(
    model: keras.Model,
    num_samples: int = 2,
    redraws: int = 3,
    seed: int = 0,
    temperature: float = 1.0,
    images: np.ndarray | None = None,
    progress: Callable | None = None,
) -> dict[int, np.ndarray]:
    """Fixes the levels of samples from coarse to fine, and draws the rest anew.

    All z_1:L are drawn once for each sample; for each prefix K, those below it are then drawn
    again, ``redraws`` times. What K has decided is what redraws have in common. Pixels are the
    head's means (ours: its noise would hide what the latents decide).

    Args:
        model: a `VDVAE` or a model with its methods.
        num_samples: number of samples.
        redraws: how often the rest is drawn anew.
        seed: integer.
        temperature: of the prior, one number.
        images: uint8 [num_samples, ...], whose conditions a conditional model is given.
        progress: None, or a function that wraps the list of prefixes it iterates over.

    Returns:
        {K: uint8 [num_samples, redraws, height, width, channels]} for no levels and for each
        prefix at which a resolution is complete.
    """
    generator = np.random.default_rng(seed)
    noise = [
        temperature * generator.standard_normal((num_samples, *shape)).astype(np.float32)
        for shape in model.latent_shapes
    ]
    condition = _condition(model, images)
    latents = model.latents_of(noise, condition=condition)
    repeated = [np.repeat(latent, redraws, axis=0) for latent in latents]
    unseen = np.zeros((num_samples * redraws, *model.image_shape), np.uint8)
    options = {"seed": seed, "temperature": temperature}
    if condition is not None:
        options["condition"] = np.repeat(condition, redraws, axis=0)
    drawn = {}
    for num_levels in (progress or list)((NOTHING, *model.prefixes)):
        sources = ["given"] * num_levels + ["prior"] * (model.num_levels - num_levels)
        made = model.edit(unseen, repeated, sources, **options)
        drawn[num_levels] = made.reshape(num_samples, redraws, *model.image_shape)
    return drawn


def sample_picture(model: keras.Model, drawn: Mapping[int, np.ndarray]) -> np.ndarray:
    """Shows what `progressive_samples` returns: a row per redraw, the number of fixed levels above.

    Returns:
        uint8 [height, width, 3].
    """
    headers = ["nothing fixed"]
    headers += [
        _header({"num_levels": k, "resolution": model.level_resolutions[k - 1]}) + "\nfixed"
        for k in drawn
        if k
    ]
    num_samples, redraws = next(iter(drawn.values())).shape[:2]
    places = [(sample, redraw) for sample in range(num_samples) for redraw in range(redraws)]
    rows = [[made[place] for made in drawn.values()] for place in places]
    captions = [[f"sample {sample + 1}", *[""] * (len(drawn) - 1)] for sample, _ in places]
    return captioned_grid(rows, captions, headers)


def bits_per_pixel_maps(
    model: keras.Model, images: np.ndarray, seed: int = 0
) -> dict[int, np.ndarray]:
    """Returns where in the picture the bits of each resolution go.

    The bits of a place of a latent spread evenly over the pixels that it covers.

    Args:
        model: a `VDVAE` or a model with its methods.
        images: uint8 [num_images, height, width, channels].
        seed: integer, of the posterior.

    Returns:
        {resolution: float64 [num_images, height, width]}, summed over the levels of a resolution;
        the sum over pixels is their rate in bits per image.
    """
    condition = _condition(model, images)
    height, width = model.image_shape[:2]
    maps = {}
    for rates in model.rate_maps(images, seed=seed, condition=condition):
        # A flat latent covers all pixels.
        rates = rates.reshape(len(rates), *(rates.shape[1:] or (1, 1)))
        side = rates.shape[1]
        factors = height // side, width // side
        spread = units.nats_to_bits(rates.astype(np.float64)) / (factors[0] * factors[1])
        spread = spread.repeat(factors[0], axis=1).repeat(factors[1], axis=2)
        maps[side] = maps.get(side, 0.0) + spread
    return maps


@own_settings()
def rate_map_plot(
    images: np.ndarray, maps: Mapping[int, np.ndarray], output: Callable[[Figure], Any] = pixels
) -> Any:
    """Plots what `bits_per_pixel_maps` returns: a row per image, a colour scale per resolution.

    Args:
        images: uint8 [num_images, height, width, channels].
        maps: {resolution: [num_images, height, width]} bits per pixel.
        output: `figures.pixels` or `figures.svg`.

    Returns:
        What ``output`` returns; by default uint8 [height, width, 3].
    """
    count = len(images)
    figure = Figure(figsize=(1.9 * (len(maps) + 1), 1.9 * count + 0.9), layout="constrained")
    axes = figure.subplots(count, len(maps) + 1, squeeze=False)
    shown = displayable(images)
    for row, image in zip(axes, shown, strict=True):
        grey = image.shape[-1] == 1
        row[0].imshow(
            image[..., 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=255
        )
    axes[0, 0].set_title("image", fontsize=10)
    for column, (side, rates) in enumerate(maps.items(), start=1):
        top = max(float(rates.max()), np.finfo(np.float32).tiny)
        for row, values in zip(axes, rates, strict=True):
            drawn = row[column].imshow(values, cmap="viridis", vmin=0.0, vmax=top)
            row[column].set_xlabel(_bits(values.sum()), fontsize=9)
        axes[0, column].set_title(f"{side}x{side}", fontsize=10)
        bar = figure.colorbar(drawn, ax=axes[:, column], location="bottom", fraction=0.08, pad=0.02)
        bar.set_label("bits per pixel", fontsize=9)
        bar.ax.tick_params(labelsize=8)
        bar.ax.locator_params(nbins=3)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    return output(figure)


def _condition(model, images):
    return model.natural_condition(images) if model.condition else None


def _header(column):
    side = column["resolution"]
    return f"K = {column['num_levels']}\n{side}x{side}"


def _bits(value):
    if value < 0.01:
        return "< 0.01 bits"
    return f"{value:,.0f} bits" if value >= 10.0 else f"{value:.2g} bits"


def _decibels(value):
    return f"{value:.1f} dB" if np.isfinite(value) else "equal"
