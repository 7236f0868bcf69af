"""The in-domain feature extractors: small networks that read what drawn pictures show."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pcvae import data, measure
from pcvae.checks import check_choice, check_integer, check_seed
from pcvae.files import new_file
from pcvae.measure import synthetic_classifier
from pcvae.progress import progress_of, with_progress
from pcvae.sources import EXTRACTORS

# Pictures that no data set of the default seed shows.
PICTURE_SEED = 2**63 + 2017
FOLDER = "extractors"


class Kind(NamedTuple):
    """An in-domain extractor, and how it is trained unless something else is asked for."""

    name: str  # in results, before size and version
    version: int  # of the network and its training: another one is another extractor
    num_images: int
    epochs: int
    sees_nuisances: bool  # or learns from pictures with random ones, and says which are legible


_KINDS = (
    Kind("synthetic-classifier", 1, 10_000, 8, sees_nuisances=True),
    Kind("synthetic-structure", 1, 30_000, 12, sees_nuisances=False),
)
KINDS = dict(zip(EXTRACTORS, _KINDS, strict=True))


def train_extractor(
    *,
    image_size: int,
    seed: int = 0,
    output: str | os.PathLike | None = None,
    num_images: int | None = None,
    epochs: int | None = None,
    extractor: str = EXTRACTORS[0],
) -> Path:
    """Trains an in-domain extractor on drawn pictures and keeps it; on two cores in minutes.

    Equal arguments give equal weights, bit by bit, on the same kind of processor. Its pictures are
    of a seed of their own: it has seen no image that it is to judge.

    Args:
        image_size: side of the pictures, 16 to 256; beyond 32 it takes longer.
        seed: integer, of the weights and the order of the pictures.
        output: the ``.keras`` file that is written, over what is there; None for the cache, from
            where ``--extractor`` takes it.
        num_images: pictures to learn from; None for as many as its kind takes.
        epochs: passes over them; None for those of its kind.
        extractor: "synthetic", or "structure", which is blind to texture, blur and noise.

    Returns:
        The path of the file.

    Raises:
        UserError: an argument is out of range, or the file cannot be written.
    """
    check_choice("extractor", extractor, KINDS)
    image_size = check_integer("image_size", image_size, 16, 256)
    kind, seed = KINDS[extractor], check_seed(seed)
    count = kind.num_images if num_images is None else check_integer("num_images", num_images, 64)
    epochs = kind.epochs if epochs is None else check_integer("epochs", epochs, 1)
    path = Path(output) if output else cached_path(image_size, seed, count, epochs, extractor)
    name = extractor_name(image_size, extractor)

    def draw(split, number):
        places = with_progress(range(number), number, f"{name}: drawing {split} pictures")
        pictures = [data.draw_picture(PICTURE_SEED, split, i, image_size) for i in places]
        images = np.stack([picture.image for picture in pictures])
        return images, synthetic_classifier.targets_of(pictures)

    images, targets = draw("train", count)
    classifier = synthetic_classifier.build_classifier(image_size, seed, kind.sees_nuisances)
    synthetic_classifier.train_classifier(
        classifier,
        images,
        targets,
        seed,
        epochs,
        progress=progress_of(f"{name}: training, steps"),
        changed=None if kind.sees_nuisances else data.with_nuisances,
    )
    num_held_out = count // 10
    new, shown = draw("test", num_held_out)
    right = f"{synthetic_classifier.share_of_numbers_read(classifier, new, shown):.1%}"
    if not kind.sees_nuisances:
        new = data.with_nuisances(new, np.random.default_rng(seed))
        share = synthetic_classifier.share_of_numbers_read(classifier, new, shown)
        right += f", under texture, blur and noise of {share:.1%}"
    features = synthetic_classifier.feature_model(classifier, images, reads=not kind.sees_nuisances)
    with new_file(path) as partial:
        features.save(partial)
    network = measure.as_extractor(features)
    print(
        f"{name}: {network.check(images.shape[1:])} features; of {num_held_out:,} new pictures it "
        f"reads the whole number of {right}; SHA-256 of its weights {network.sha256}",
        f"wrote {path}",
        sep="\n",
        flush=True,
    )
    return path


def extractor_name(image_size: int, extractor: str = EXTRACTORS[0]) -> str:
    """Returns what stands in results for an in-domain extractor."""
    kind = KINDS[extractor]
    return f"{kind.name}-{image_size}-v{kind.version}"


def cached_path(
    image_size: int,
    seed: int = 0,
    num_images: int | None = None,
    epochs: int | None = None,
    extractor: str = EXTRACTORS[0],
) -> Path:
    """Returns the file in the cache that `train_extractor` writes for its arguments."""
    kind = KINDS[extractor]
    configuration = {
        "version": kind.version,
        "drawing": data.DRAWING_VERSION,
        "image_size": image_size,
        "seed": seed,
        "num_images": num_images or kind.num_images,
        "epochs": epochs or kind.epochs,
    }
    name = f"{extractor_name(image_size, extractor)}-{data.content_hash(configuration)}.keras"
    return data.cache_root() / FOLDER / name
