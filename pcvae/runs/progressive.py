"""The progressive view of a run: prefixes of images, of samples, and where the bits go."""

import functools
import os
from typing import Any

import numpy as np

from pcvae import show
from pcvae.checks import check_integer, check_seed
from pcvae.errors import UserError
from pcvae.files import write_json, write_together
from pcvae.progress import progress_of
from pcvae.quantities import IS_UPPER_BOUND
from pcvae.runs.load import load
from pcvae.runs.report import check_report_files, refreshed_report
from pcvae.runs.run_directory import RunDirectory
from pcvae.runs.run_pictures import chosen

MAX_SHOWN = 32
REDRAWS = 3


def progressive(
    *,
    run_dir: str | os.PathLike,
    split: str = "test",
    num_images: int = 4,
    num_samples: int = 2,
    seed: int = 0,
    temperature: float = 1.0,
    spec: str | None = None,
    fallback: bool = True,
) -> list[dict[str, Any]]:
    """Draws the progressive view of a run with its averaged weights.

    Writes ``images/progressive_reconstructions.png``, ``progressive_samples.png`` and
    ``rate_maps.png``, the numbers to ``results/progressive.json``, and the report anew if the run
    is evaluated.

    Args:
        run_dir: a directory that `train` left.
        split: "train", "validation" or "test".
        num_images: how many images; the seed chooses them.
        num_samples: how many samples; a conditional model draws for so many images.
        seed: integer, of the posterior, of the samples and of the choice of images.
        temperature: of the samples.
        spec: another dataset, as `data.from_spec` takes it, or None.
        fallback: whether an older checkpoint will do; see `load`.

    Returns:
        What ``progressive.json`` holds: a list with one dict for each prefix: ``num_levels``,
        ``resolution``, ``bits`` and ``psnr_db``, one number per image; None for an image that is
        reconstructed without an error. ``rate_is_upper_bound`` stands where the bits are one.

    Raises:
        UserError: the run is damaged, or an argument is out of range.
    """
    directory, seed = RunDirectory(run_dir), check_seed(seed)
    check_integer("num_images", num_images, 1, MAX_SHOWN)
    check_integer("num_samples", num_samples, 1, MAX_SHOWN)
    check_report_files(directory)
    model = load(run_dir, fallback)
    dataset = directory.dataset(model.image_shape, spec)
    count = dataset.num_images(split)
    needed = max(num_images, num_samples) if model.condition else num_images
    if needed > count:
        raise UserError(f"num_images: the {split} split has {count} images, got {needed}")
    images = dataset.images(split)
    shown = chosen(images, num_images, seed)
    columns = show.progressive_reconstructions(
        model, shown, seed, progress_of("reconstructing from prefixes")
    )
    drawn = show.progressive_samples(
        model,
        num_samples,
        REDRAWS,
        seed,
        temperature,
        chosen(images, num_samples, seed),
        progress_of("drawing what prefixes leave open"),
    )
    maps = show.bits_per_pixel_maps(model, shown, seed)
    pictures = {
        "progressive_reconstructions": show.reconstruction_picture(shown, columns, seed),
        "progressive_samples": show.sample_picture(model, drawn),
        "rate_maps": show.rate_map_plot(shown, maps),
    }
    record = [
        {
            "num_levels": column["num_levels"],
            "resolution": column["resolution"],
            "bits": column["bits"].tolist(),
            **({IS_UPPER_BOUND: True} if column[IS_UPPER_BOUND] else {}),
            "psnr_db": [float(x) if np.isfinite(x) else None for x in column["psnr_db"]],
        }
        for column in columns
    ]
    writers = {directory.result("progressive"): functools.partial(write_json, record)}
    for name, picture in pictures.items():
        writers[directory.image(name)] = functools.partial(show.save_png, picture)
    write_together(writers)
    paths = [*writers, *refreshed_report(directory)]
    print(*(f"wrote {path}" for path in paths), sep="\n", flush=True)
    return record
