"""What is done with a run directory: load, reconstruct, describe."""

import os
from pathlib import Path

from pcvae import data, measure, models, show, training
from pcvae.checks import check_integer
from pcvae.errors import UserError
from pcvae.runs.frozen import frozen_shapes, read_frozen
from pcvae.runs.pictures import check_picture_size, write_picture_or_arrays
from pcvae.runs.records import NUM_IMAGES_SHOWN


def load(run_dir):
    """Loads the model of a run directory with its averaged (EMA) weights.

    Args:
        run_dir: a directory that `train` left, finished or not.

    Returns:
        A `VDVAE`, `ConditionalVDVAE` or `StagedVAE`.

    Raises:
        UserError: the directory holds no run, or one that is damaged.
    """
    if not isinstance(run_dir, str | os.PathLike):
        raise UserError(f"run_dir: expected the path of a run directory, got {run_dir!r}")
    run_dir = Path(run_dir)
    checkpoints = run_dir / "checkpoints"
    model = models.read_model(
        run_dir / "model.json",
        lambda: {**training.group_shapes(checkpoints, "ema"), **frozen_shapes(run_dir)},
    )
    trained = training.read_group(checkpoints, "ema")
    models.load_weights(model, {**trained, **read_frozen(run_dir)})
    return model


def reconstruct(*, run_dir, images, num_levels, seed, output, num_images=64, decoder=None):
    """Reconstructs images from a prefix: originals above reconstructions, or arrays (``.npz``).

    The arguments are those of the model's ``reconstruct``; the label in the picture says which
    decoder it was.

    Raises:
        UserError: the run is damaged, an argument is out of range, or the images cannot be read,
            or are too many for a picture.
    """
    check_integer("num_images", num_images, 1)
    model = load(run_dir)
    originals = data.read_images(images, model.image_shape, num_images)
    check_picture_size(output, len(originals))
    num_levels = model.num_levels if num_levels is None else num_levels
    reconstructions = model.reconstruct(originals, num_levels, seed=seed, decoder=decoder)

    def picture():
        label, rows = show.prefix_label(model, num_levels, decoder), []
        for start in range(0, len(originals), NUM_IMAGES_SHOWN):
            part = slice(start, start + NUM_IMAGES_SHOWN)
            rows += [("original", originals[part]), (label, reconstructions[part])]
        return show.labelled_rows(rows)

    write_picture_or_arrays(output, picture, images=originals, reconstructions=reconstructions)


def describe(*, model_fn, image_shape=None):
    """Returns the level table of a model that is built for this."""
    return measure.level_table(model_fn(**({"image_shape": image_shape} if image_shape else {})))


def describe_run(*, run_dir):
    """Returns the level table of a run's model."""
    return measure.level_table(models.read_model(Path(run_dir) / "model.json"))
