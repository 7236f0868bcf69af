"""What is left of images after averaging over blocks of 2x2 pixels: features without fine noise."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from pcvae.errors import UserError
from pcvae.measure.features import FeatureExtractor

SIDE = 2
# Ends the key of what is measured after averaging.
SUFFIX = f"_averaged_{SIDE}x{SIDE}"


def can_average(image_shape: Sequence[int]) -> bool:
    """Says whether images [height, width, channels] are whole blocks of 2x2 pixels."""
    return not (image_shape[0] % SIDE or image_shape[1] % SIDE)


def averaged(images: tf.Tensor) -> tf.Tensor:
    """Returns images each of whose blocks of 2x2 pixels has the mean of the block, rounded.

    Args:
        images: uint8 [batch, height, width, channels] of even height and width.

    Returns:
        uint8 of the same shape, so that an extractor takes it as it takes the images.
    """
    means = tf.nn.avg_pool2d(tf.cast(images, tf.float32), SIDE, SIDE, "VALID")
    blocks = tf.cast(tf.round(means), tf.uint8)
    return tf.repeat(tf.repeat(blocks, SIDE, axis=1), SIDE, axis=2)


class AfterAveraging:
    """A `FeatureExtractor` that sees images after `averaged`.

    Args:
        extractor: the `FeatureExtractor`.
    """

    def __init__(self, extractor: FeatureExtractor) -> None:
        self.name, self.sha256 = extractor.name, extractor.sha256
        self._extractor = extractor

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the features of averaged images; see `FeatureExtractor`."""
        return self._extractor(averaged(images))

    def check(self, image_shape: Sequence[int]) -> int:
        """See `FeatureExtractor.check`.

        Raises:
            UserError: a side is odd, or the images do not fit the extractor.
        """
        if not can_average(image_shape):
            raise UserError(
                f"averaging over {SIDE}x{SIDE} pixels: expected images of even sides, got "
                f"{image_shape[0]}x{image_shape[1]}"
            )
        return self._extractor.check(image_shape)

    def protocol(self, image_shape: Sequence[int]) -> dict[str, Any]:
        """See `FeatureExtractor.protocol`."""
        return {
            **self._extractor.protocol(image_shape),
            "averaged": f"over {SIDE}x{SIDE} pixels, then rounded to 8 bits and repeated",
        }


def extractor_views(extractor: FeatureExtractor, image_shape: Sequence[int]) -> dict[str, Any]:
    """Returns {end of a key: extractor}: the extractor, and where images allow it that after it."""
    own = {"": extractor}
    return {**own, SUFFIX: AfterAveraging(extractor)} if can_average(image_shape) else own
