"""The feature extractor that a name stands for: the in-domain one, a file, or a file to fetch."""

import os
import re
import shutil
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pcvae import data, measure
from pcvae.checks import check_integer, check_seed
from pcvae.errors import UserError
from pcvae.files import new_file
from pcvae.measure import synthetic_classifier

IN_DOMAIN = "synthetic"
VERSION = 1  # of the network and its training: another one is another extractor
# Pictures that no data set of the default seed shows.
PICTURE_SEED = 2**63 + 2017
FOLDER = "extractors"
_SECONDS_TO_ANSWER = 60


def find_extractor(source, image_shape, resize=None, sha256=None):
    """Returns the feature extractor that an argument stands for.

    Args:
        source: ``"synthetic"``, the in-domain extractor at the size of the images, or
            ``"synthetic:SIZE"``; it is trained when it is not there yet (`train_extractor`). Or the
            address of a file, ``https://...``, which is fetched once, if its ``sha256`` is given.
            Or what `measure.as_extractor` takes.
        image_shape: (height, width, channels) of the images.
        resize: how images are resized to the size of the extractor; see `FeatureExtractor`.
        sha256: what is checked: the SHA-256 of the file, or of the network as protocols state it
            (``extractor_sha256``); None for no check of what is there.

    Raises:
        UserError: there is no such extractor, or it does not take the images.
    """
    text = str(source) if isinstance(source, str | os.PathLike) else None
    kind, _, rest = (text or "").partition(":")
    if kind == IN_DOMAIN:
        extractor = _in_domain_extractor(text, rest, image_shape, resize)
        _check_sha256(extractor, None, sha256)
    elif kind in ("http", "https"):
        name = Path(urllib.request.url2pathname(rest)).stem
        extractor = measure.as_extractor(fetch(text, sha256), resize, name)  # which checks it
    else:
        extractor = measure.as_extractor(source, resize)
        _check_sha256(extractor, text, sha256)
    extractor.check(image_shape)
    return extractor


def fetch(address, sha256):
    """Returns the path of a file from the network, fetched now or earlier.

    Args:
        address: ``https://...``, a ``.pb`` or ``.keras`` file.
        sha256: of the file; nothing is fetched without it.

    Raises:
        UserError: no hash is given, the file cannot be had, or its hash differs.
    """
    if not sha256:
        raise UserError(
            f"extractor {address}: a file from the network needs the SHA-256 that it must have "
            "(--extractor_sha256=HEX)"
        )
    sha256 = _checked_sha256(sha256)
    path = data.cache_root() / FOLDER / sha256 / Path(urllib.request.url2pathname(address)).name
    if path.is_file() and measure.file_sha256(path) == sha256:
        return path
    try:
        with new_file(path) as partial:
            print(f"fetching {address}", flush=True)
            request = urllib.request.urlopen(address, timeout=_SECONDS_TO_ANSWER)
            with request as answer, partial.open("wb") as file:
                shutil.copyfileobj(answer, file)
            found = measure.file_sha256(partial)
            if found != sha256:
                raise UserError(f"extractor {address}: expected the SHA-256 {sha256}, got {found}")
    except OSError as error:
        raise UserError(f"extractor {address}: cannot be fetched: {error}") from error
    return path


def _checked_sha256(sha256):
    """Returns a SHA-256 in small letters, if it is one."""
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise UserError(f"extractor_sha256: expected 64 hexadecimal digits, got {sha256!r}")
    return sha256.lower()


def _check_sha256(extractor, path, sha256):
    """Checks what a user may know an extractor by: the hash in protocols, or its file's."""
    if not sha256 or _checked_sha256(sha256) == extractor.sha256:
        return
    if path is None or measure.file_sha256(path) != sha256.lower():
        raise UserError(
            f"extractor {extractor.name}: its SHA-256 is {extractor.sha256}, not {sha256}"
        )


def train_extractor(*, image_size, seed=0, output=None, num_images=10_000, epochs=8):
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
    path = Path(output) if output else _cached_path(image_size, seed, count, epochs)
    name = extractor_name(image_size)

    def draw(split, number):
        places = data.with_progress(range(number), number, f"{name}: drawing {split} pictures")
        pictures = [data.draw_picture(PICTURE_SEED, split, i, image_size) for i in places]
        images = np.stack([picture.image for picture in pictures])
        return images, synthetic_classifier.targets_of(pictures)

    images, targets = draw("train", count)
    classifier = synthetic_classifier.build_classifier(image_size, seed)
    synthetic_classifier.train_classifier(
        classifier,
        images,
        targets,
        seed,
        epochs,
        progress=data.progress_of(f"{name}: training, steps"),
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


def extractor_name(image_size):
    """Returns what stands in results for the in-domain extractor."""
    return f"synthetic-classifier-{image_size}-v{VERSION}"


def _cached_path(image_size, seed=0, num_images=10_000, epochs=8):
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


def _in_domain_extractor(text, rest, image_shape, resize):
    size = image_shape[0]
    if ":" in text:
        if not rest.isdecimal() or not 16 <= int(rest) <= 256:
            raise UserError(f"extractor: expected synthetic:SIZE with 16 to 256, got {text!r}")
        size = int(rest)
    elif image_shape[0] != image_shape[1] or not 16 <= size <= 256:
        raise UserError(
            f"extractor: {IN_DOMAIN} takes squares of 16 to 256 pixels, the images have "
            f"{image_shape[0]}x{image_shape[1]}: name a size and how they are resized "
            f"(--extractor={IN_DOMAIN}:16 --extractor_resize=bilinear)"
        )
    path = _cached_path(size)
    if not path.is_file():
        print(
            f"{extractor_name(size)} is not there yet: training it (pcvae-train-extractor)",
            flush=True,
        )
        # A strategy holds for its thread alone, and the network is trained without one: inside the
        # scope of a strategy Keras' optimizer refuses a step outside of its replicas.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(train_extractor, image_size=size).result()
    return measure.as_extractor(path, resize, extractor_name(size))
