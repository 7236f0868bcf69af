"""What a conditional model is given: an image, features of an earlier stage, or a class label."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pcvae import units
from pcvae.checks import check_integer
from pcvae.errors import UserError
from pcvae.layers.condition import LabelMaps
from pcvae.layers.encoder import Encoder

IMAGE, FEATURES, LABEL = "image", "features", "label"
KINDS = (IMAGE, FEATURES, LABEL)


class GivenCondition(NamedTuple):
    """A condition as the passes of a model take it."""

    image: tf.Tensor | None = None  # [batch, height, width, channels], what the encoder sees, too
    maps: dict | None = None  # {resolution: [batch, r or 1, r or 1, width]}, what enters the levels


UNCONDITIONAL = GivenCondition()


class Condition(NamedTuple):
    """The kind and the shape of a condition.

    An image comes as uint8, or as float32 in [-1, 1] from an earlier stage; it may be smaller than
    what is modelled, by a whole factor, and is then repeated (super-resolution).
    """

    kind: str
    shape: tuple  # (height, width, channels); () for a label
    num_classes: int | None
    encoder_blocks: str

    @classmethod
    def checked(cls, kind, shape, num_classes, encoder_blocks, image_shape):
        """Returns a condition, if the arguments fit together.

        Args:
            kind: "image", "features" or "label".
            shape: (height, width, channels) of an image or of features; None for ``image_shape``.
            num_classes: of labels.
            encoder_blocks: layer string of the encoder of the condition.
            image_shape: of the images that are modelled.

        Raises:
            UserError: they do not.
        """
        if kind not in KINDS:
            raise UserError(f"condition: expected one of {', '.join(KINDS)}, got {kind!r}")
        if kind == LABEL:
            if shape is not None:
                raise UserError(f"condition_shape: a label has none, got {shape!r}")
            return cls(kind, (), check_integer("num_classes", num_classes, 1), encoder_blocks)
        if num_classes is not None:
            raise UserError(f"num_classes: only a label has classes, got {num_classes!r}")
        if kind == FEATURES and shape is None:
            raise UserError("condition_shape: features need one, (height, width, channels)")
        shape = tuple(image_shape if shape is None else shape)
        sides = [check_integer("condition_shape", side, 1) for side in shape]
        side = image_shape[0]
        if len(sides) != 3 or sides[0] != sides[1] or side % sides[0]:
            raise UserError(
                "condition_shape: expected (height, width, channels), square, of a side that "
                f"divides {side}, got {shape}"
            )
        return cls(kind, tuple(sides), None, encoder_blocks)

    @property
    def channels(self):
        """Channels that are concatenated to the images for the encoder of the posterior."""
        return 0 if self.kind == LABEL else self.shape[-1]

    @property
    def spec(self):
        """The `tf.TensorSpec` of a batch, as users give it."""
        dtypes = {IMAGE: tf.uint8, FEATURES: tf.float32, LABEL: tf.int32}
        return tf.TensorSpec((None, *self.shape), dtypes[self.kind], name="condition")

    def make_layer(self, resolutions, width_at, **shared):
        """Returns the layer that makes a map for each resolution of a decoder.

        Args:
            resolutions: those of the decoder.
            width_at: function from a resolution to the decoder's width there.
            **shared: the arguments that `Encoder` shares with the model's own, dtype included.
        """
        if self.kind == LABEL:
            widths = {resolution: width_at(resolution) for resolution in resolutions}
            return LabelMaps(
                self.num_classes, widths, dtype=shared["dtype"], name="condition_encoder"
            )
        return Encoder(
            self.encoder_blocks, channels=self.channels, name="condition_encoder", **shared
        )

    def read(self, layer, side, condition):
        """Returns a batch of conditions as the passes take it, a `GivenCondition`.

        Args:
            layer: what `make_layer` has made.
            side: of the images that are modelled.
            condition: a batch; an image as uint8, or as float32 in [-1, 1].
        """
        condition = tf.convert_to_tensor(condition)
        if self.kind == LABEL:
            return GivenCondition(maps=layer(condition))
        if condition.dtype == tf.uint8:
            condition = units.signed_from_levels(condition, bit_depth=8)
        image = upsampled(condition, side // self.shape[0])
        return GivenCondition(image, layer(image))

    def rounded(self, condition):
        """Returns a condition as users give it: a float32 image in [-1, 1] as uint8."""
        if self.kind != IMAGE:
            return condition
        return units.images_from_levels(units.levels_from_signed(condition, 8), 8)

    def natural(self, images):
        """Returns the condition that follows from images: the smaller image, uint8.

        Each pixel is the mean of a square of pixels, rounded.

        Args:
            images: uint8 tensor [batch, height, width, channels].

        Raises:
            UserError: nothing but a smaller image of as many channels follows from an image.
        """
        side, small = images.shape[1], self.shape[:1]
        if self.kind != IMAGE or small == (side,) or self.shape[-1] != images.shape[-1]:
            raise UserError(f"condition: expected {self.in_words}, one for each image, got none")
        pooled = tf.nn.avg_pool2d(tf.cast(images, tf.float32), *[side // small[0]] * 2, "VALID")
        return tf.cast(tf.floor(pooled + 0.5), tf.uint8)

    def checked_batch(self, condition, count):
        """Returns conditions as an array, if there is one for each of ``count`` images.

        Raises:
            UserError: type, shape or number differ, or a label is none of the classes.
        """
        array, spec = np.asarray(condition), self.spec
        wanted = np.dtype(spec.dtype.as_numpy_dtype)
        if self.kind != IMAGE and array.dtype.kind == wanted.kind:
            array = array.astype(wanted)
        if array.dtype != wanted or array.shape != (count, *self.shape):
            raise UserError(
                f"condition: expected {self.in_words}, {count} of them, got {array.dtype} "
                f"{list(array.shape)}"
            )
        if self.kind == LABEL and not ((array >= 0) & (array < self.num_classes)).all():
            raise UserError(f"condition: expected {self.in_words}, got {np.unique(array).tolist()}")
        return array

    @property
    def in_words(self):
        """What is expected, for the message of an error."""
        if self.kind == LABEL:
            return f"integer labels from 0 to {self.num_classes - 1}"
        what = "uint8 images" if self.kind == IMAGE else "float32 features"
        return f"{what} of shape {self.shape}"


def upsampled(images, factor):
    """Repeats each pixel of [batch, side, side, channels] in both directions."""
    if factor == 1:
        return images
    return tf.repeat(tf.repeat(images, factor, axis=1), factor, axis=2)
