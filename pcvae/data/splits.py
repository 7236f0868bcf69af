"""Splits that stay: where an image goes depends on its name, not on its neighbours.

Sources without splits of their own are divided by a hash: ``place(name)`` is a number in [0, 1),
test images are those below ``test_fraction``, validation images those in the next
``validation_fraction``, and the rest is for training (80/10/10 by default). Adding files therefore
moves no other file. In a set so small that a split would be empty, the image with the lowest place
goes there instead; when images are added it may go back, but a training image never becomes a test
or validation image.
"""

import hashlib
import unicodedata
from collections.abc import Sequence

from pcvae.errors import UserError

VALIDATION_FRACTION = 0.1
TEST_FRACTION = 0.1


def place(name: str) -> float:
    """Returns a place in [0, 1) that depends on the name alone.

    It is the first 8 bytes of the SHA-256 of the name in Unicode's composed form, so that a folder
    splits alike on systems that store accents in different ways.
    """
    text = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
    return (int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 11) / 2.0**53


def split_by_name(
    names: Sequence[str],
    source: str,
    validation_fraction: float = VALIDATION_FRACTION,
    test_fraction: float = TEST_FRACTION,
    wanted: Sequence[str] = ("validation", "test"),
) -> dict[str, list[int]]:
    """Divides names into train, validation and test.

    Args:
        names: the names, each once. Every split keeps their order.
        source: what is divided, for the error.
        validation_fraction: share of the validation split.
        test_fraction: share of the test split.
        wanted: which splits are held out of train; others come from elsewhere.

    Returns:
        A dict from train and each of them to the list of positions in ``names``.

    Raises:
        UserError: if the fractions leave nothing for training, or there are too few names.
    """
    fractions = validation_fraction, test_fraction
    if min(fractions) <= 0.0 or sum(fractions) >= 1.0:
        raise UserError(
            "validation_fraction and test_fraction must be above 0 and below 1 together, "
            f"got {validation_fraction} and {test_fraction}"
        )
    places = [place(name) for name in names]
    lowest_first = sorted(range(len(places)), key=places.__getitem__)
    shares = {"test": test_fraction, "validation": validation_fraction}
    groups, rest, limit = {}, lowest_first, 0.0
    for split in (split for split in shares if split in wanted):
        limit += shares[split]
        groups[split] = {i for i in rest if places[i] < limit} or set(rest[:1])
        rest = [i for i in rest if i not in groups[split]]
    if not rest:
        raise UserError(
            f"{source} has {len(places)} images, too few to split by their names into "
            f"{', '.join(['train', *wanted[:-1]])} and {wanted[-1]}; add images, 100 or more make "
            "sound splits"
        )
    ordered = {"train": rest, **dict(reversed(groups.items()))}
    return {split: sorted(members) for split, members in ordered.items()}


def held_out_count(num_train_images: int) -> int:
    """Returns how many images are held out of a training split that lacks a split of its own.

    5,000, or a tenth where that is less: CIFAR-10's customary 45,000 + 5,000.
    """
    return min(5000, num_train_images // 10)
