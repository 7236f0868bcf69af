"""Reconstructions of images by the model of a run."""

import os

from pcvae import data, show
from pcvae.checks import check_integer
from pcvae.progress import waiting
from pcvae.runs.load import load
from pcvae.runs.picture_output import check_picture_size, write_picture_or_arrays
from pcvae.runs.run_pictures import NUM_IMAGES_SHOWN


@waiting("reconstructing images")
def reconstruct(
    *,
    run_dir: str | os.PathLike,
    images: str | os.PathLike,
    num_levels: int,
    seed: int,
    output: str | os.PathLike,
    num_images: int = 64,
    decoder: str | None = None,
    fallback: bool = True,
) -> None:
    """Reconstructs images from a prefix: originals above reconstructions, or arrays (``.npz``).

    The arguments are those of the model's ``reconstruct``; the seed also chooses the images where
    there are more than ``num_images``. The label in the picture says which decoder it was.
    ``fallback`` says whether an older checkpoint will do; see `load`.

    Raises:
        UserError: the run is damaged, an argument is out of range, or the images cannot be read,
            or are too many for a picture.
    """
    check_integer("num_images", num_images, 1)
    model = load(run_dir, fallback)
    originals = data.read_images(images, model.image_shape, num_images, seed)
    check_picture_size(output, len(originals))
    num_levels = model.num_levels if num_levels is None else num_levels
    reconstructions = model.reconstruct(originals, num_levels, seed=seed, decoder=decoder)

    def picture():
        label, rows = show.prefix_label(model, num_levels, decoder), []
        for start in range(0, len(originals), NUM_IMAGES_SHOWN):
            part = slice(start, start + NUM_IMAGES_SHOWN)
            rows += [(show.original_label(seed), originals[part]), (label, reconstructions[part])]
        return show.labelled_rows(rows)

    write_picture_or_arrays(output, picture, images=originals, reconstructions=reconstructions)
