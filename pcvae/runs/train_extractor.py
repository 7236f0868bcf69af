"""The in-domain feature extractor: a small network that reads what drawn pictures show."""

import os
from pathlib import Path

import numpy as np

from pcvae import data, measure
from pcvae.checks import check_integer, check_seed
from pcvae.files import new_file
from pcvae.measure import synthetic_classifier
from pcvae.progress import progress_of, with_progress

VERSION = 1  # of the network and its training: another one is another extractor
# Pictures that no data set of the default seed shows.
PICTURE_SEED = 2**63 + 2017
FOLDER = "extractors"


def train_extractor(
    *,
    image_size: int,
    seed: int = 0,
    output: str | os.PathLike | None = None,
    num_images: int = 10_000,
    epochs: int = 8,
) -> Path:
    """Trains the in-domain extractor on drawn pictures and keeps it; on two cores in a minute.

    Equal arguments give equal weights, bit by bit, on the same kind of processor. Its pictures are
    of a seed of their own: it has seen no image that it is to judge.

    Args:
        image_size: side of the pictures, 16 to 256; beyond 32 it takes longer.
        seed: integer, of the weights and the order of the pictures.
        output: the ``.keras`` file that is written, over what is there; None for the cache, from
            where ``--extractor=synthetic`` takes it.
        num_images: pictures to learn from.
        epochs: passes over them.

    Returns:
        The path of the file.

    Raises:
        UserError: an argument is out of range, or the file cannot be written.
    """
    image_size = check_integer("image_size", image_size, 16, 256)
    seed, count = check_seed(seed), check_integer("num_images", num_images, 64)
    epochs = check_integer("epochs", epochs, 1)
    path = Path(output) if output else cached_path(image_size, seed, count, epochs)
    name = extractor_name(image_size)

    def draw(split, number):
        places = with_progress(range(number), number, f"{name}: drawing {split} pictures")
        pictures = [data.draw_picture(PICTURE_SEED, split, i, image_size) for i in places]
        images = np.stack([picture.image for picture in pictures])
        return images, synthetic_classifier.targets_of(pictures)

    images, targets = draw("train", count)
    classifier = synthetic_classifier.build_classifier(image_size, seed)
    synthetic_classifier.train_classifier(
        classifier, images, targets, seed, epochs, progress=progress_of(f"{name}: training, steps")
    )
    num_held_out = count // 10
    right = synthetic_classifier.share_of_numbers_read(classifier, *draw("test", num_held_out))
    features = synthetic_classifier.feature_model(classifier, images)
    with new_file(path) as partial:
        features.save(partial)
    sha256 = measure.as_extractor(features).sha256
    print(
        f"{name}: {features.output_shape[1]} features; of {num_held_out:,} new pictures it reads "
        f"the whole number of {right:.1%}; SHA-256 of its weights {sha256}",
        f"wrote {path}",
        sep="\n",
        flush=True,
    )
    return path


def extractor_name(image_size: int) -> str:
    """Returns what stands in results for the in-domain extractor."""
    return f"synthetic-classifier-{image_size}-v{VERSION}"


def cached_path(image_size: int, seed: int = 0, num_images: int = 10_000, epochs: int = 8) -> Path:
    """Returns the file in the cache that `train_extractor` writes for its arguments."""
    configuration = {
        "version": VERSION,
        "drawing": data.DRAWING_VERSION,
        "image_size": image_size,
        "seed": seed,
        "num_images": num_images,
        "epochs": epochs,
    }
    name = f"{extractor_name(image_size)}-{data.content_hash(configuration)}.keras"
    return data.cache_root() / FOLDER / name
