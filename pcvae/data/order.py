"""Which images make a batch: a pure function of (seed, step).

Positions run on without end: batch ``step`` holds the positions step * batch_size + j. Each run of
``num_images`` positions is an epoch, and each epoch a permutation of the images, drawn from (seed,
epoch) alone. So nothing needs to be saved or replayed for a run to resume at any step.

A permutation is the order of one random 64-bit number for each image, from Philox (Salmon et al.
2011) keyed by (seed, epoch): every permutation is equally likely, and the raw stream of Philox does
not change between versions of NumPy. It costs a sort at each epoch, 0.1 s for a million images.
TensorFlow's index shuffle needs no sort, but truncates its keys to 8 bits for sets of up to 65,536
images, so that its orders repeat every 256 epochs and seeds 256 apart agree.
"""

import functools

import numpy as np


def batch_indices(seed: int, step: int, batch_size: int, num_images: int) -> np.ndarray:
    """Returns the images of one global batch.

    Args:
        seed: an int; 64 bits of it count.
        step: which batch, from 0.
        batch_size: number of images in the global batch.
        num_images: number of images in the split.

    Returns:
        int64 [batch_size] in [0, num_images). An image occurs once in an epoch, so twice in a
        batch only where the batch crosses the end of an epoch.
    """
    return slice_indices(seed, int(step) * batch_size, batch_size, num_images)


def slice_indices(seed: int, first_position: int, count: int, num_images: int) -> np.ndarray:
    """Returns the images at consecutive positions of the endless order: int64 [count]."""
    if num_images < 1:
        raise ValueError(f"num_images must be 1 or more, got {num_images}")
    parts = []
    while count > 0:
        epoch, start = divmod(first_position, num_images)
        part = _permutation(int(seed) % 2**64, epoch, num_images)[start : start + count]
        parts.append(part)
        first_position, count = first_position + len(part), count - len(part)
    return np.concatenate(parts)


def chosen_indices(seed: int, count: int, num_images: int) -> np.ndarray:
    """Returns which images a picture shows: a choice by a seed, not the first by name or index.

    Args:
        seed: an int; 64 bits of it count.
        count: how many at most.
        num_images: of how many; all of them if there are no more than ``count``.

    Returns:
        int64, different indices, ascending.
    """
    return np.sort(slice_indices(seed, 0, min(count, num_images), num_images))


@functools.lru_cache(maxsize=4)
def _permutation(seed, epoch, num_images):
    numbers = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(num_images)
    order = np.argsort(numbers, kind="stable")
    order.flags.writeable = False
    return order
