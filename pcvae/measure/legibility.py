"""The legible share of images: in how many an extractor recognises every digit.

A distance between sets says nothing of a single image; this does. Its ceiling is the share of the
data themselves, some of which nobody can read.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pcvae.measure.features import FeatureExtractor, ImageFeatures

KEY = "legible_share"
CERTAIN = 0.9  # ours: a digit is recognised where its probability is above this


def legibility_extractor(certainty: Callable, **protocol: Any) -> FeatureExtractor:
    """Returns the extractor of one feature, 1 for an image that is legible and 0 for another.

    Args:
        certainty: uint8 [batch, height, width, channels] -> [batch, places], the probability of
            the likeliest digit at each place of a picture (or of "no digit").
        **protocol: the other arguments of `FeatureExtractor`.
    """

    def legible(images):
        every = tf.reduce_all(certainty(images) > CERTAIN, axis=1, keepdims=True)
        return tf.cast(every, tf.float32)

    return FeatureExtractor(legible, in_graph=True, **protocol)


def legible_shares(samples: ImageFeatures, reference: ImageFeatures) -> dict[str, float]:
    """Returns ``legible_share`` of samples and ``legible_share_of_data``, with standard errors.

    Args:
        samples: features of a `legibility_extractor` for two or more images.
        reference: those of the images that samples are measured against.
    """
    shares = {}
    for key, features in ((KEY, samples), (f"{KEY}_of_data", reference)):
        statistics = features.statistics
        shares[key] = float(statistics.mean[0])
        shares[f"{key}_stderr"] = float(np.sqrt(statistics.covariance[0, 0] / statistics.count))
    return shares
