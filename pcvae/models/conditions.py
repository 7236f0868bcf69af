"""What a conditional model is given: an image, features of an earlier stage, or a class label.

A condition is an argument of any model that has gates for it (`layers.ConvolutionalLevel`): an
encoder makes a map for each resolution, and the map enters every level through a gate that starts
closed, before prior and posterior alike.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pcvae import units
from pcvae.checks import check_integer
from pcvae.errors import UserError
from pcvae.layers.encoder import Encoder
from pcvae.layers.gates import LabelMaps
from pcvae.layers.residual import upsampled

IMAGE, FEATURES, LABEL = "image", "features", "label"
KINDS = (IMAGE, FEATURES, LABEL)


class GivenCondition(NamedTuple):
    """A condition as the walk of a model takes it."""

    image: tf.Tensor | None = None  # [batch, height, width, channels], what the encoder sees, too
    maps: dict | None = None  # {resolution: [batch, r or 1, r or 1, width]}, what enters the levels
    # [batch, height, width, channels] on [-1, 1], what the means of a residual head are added to.
    base: tf.Tensor | None = None


UNCONDITIONAL = GivenCondition()


class Condition(abc.ABC):
    """One kind of condition: what users give, and the layer that reads it."""

    kind: ClassVar[str]
    dtype: ClassVar[tf.DType]  # as users give it
    shape: tuple = ()  # of one example
    channels = 0  # concatenated to the images for the encoder of the posterior
    num_classes: int | None = None
    is_residual = False  # whether the model says how its image differs from the condition

    @property
    def spec(self) -> tf.TensorSpec:
        """A batch, as users give it."""
        return tf.TensorSpec((None, *self.shape), self.dtype, name="condition")

    @property
    @abc.abstractmethod
    def in_words(self) -> str:
        """What is expected, for the message of an error."""

    @abc.abstractmethod
    def make_layer(self, resolutions: Sequence[int], width_at: Callable, **shared: Any) -> Any:
        """Returns the layer that makes a map for each resolution.

        Args:
            resolutions: those of the levels.
            width_at: function from a resolution to the width of the features there.
            **shared: the arguments that `Encoder` shares with the model's own, dtype included.
        """

    @abc.abstractmethod
    def read(self, layer: keras.layers.Layer, side: int, condition: Any) -> GivenCondition:
        """Returns a batch of conditions as a walk takes it.

        Args:
            layer: what `make_layer` has made.
            side: of the images that are modelled.
            condition: a batch.
        """

    def get_config(self) -> dict:
        """Returns the arguments of `make_condition`, beside the shape of the images."""
        return {"kind": self.kind}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash(repr(self.get_config()))

    def rounded(self, condition: tf.Tensor) -> tf.Tensor:
        """Returns what an earlier stage makes as users give it."""
        return condition

    def natural(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the condition that follows from images, uint8 [batch, height, width, channels].

        Raises:
            UserError: none does.
        """
        raise UserError(f"condition: expected {self.in_words}, one for each image, got none")

    def checked_batch(self, condition: Any, count: int) -> np.ndarray:
        """Returns conditions as an array, if there is one for each of ``count`` images.

        Raises:
            UserError: type, shape or number differ.
        """
        array, wanted = np.asarray(condition), np.dtype(self.dtype.as_numpy_dtype)
        if self.kind != IMAGE and array.dtype.kind == wanted.kind:
            array = array.astype(wanted)
        if array.dtype != wanted or array.shape != (count, *self.shape):
            raise UserError(
                f"condition: expected {self.in_words}, {count} of them, got {array.dtype} "
                f"{list(array.shape)}"
            )
        return array


class FeaturesCondition(Condition):
    """Features [batch, height, width, channels] in float32, such as latents of earlier stages.

    Args:
        shape: (height, width, channels), square.
        encoder_blocks: layer string of the encoder of the condition.
        side: of the images that are modelled, a multiple of the height.

    Raises:
        UserError: the shape does not fit.
    """

    kind = FEATURES
    dtype = tf.float32

    def __init__(self, shape: Sequence[int], encoder_blocks: str, side: int) -> None:
        sides = tuple(check_integer("condition_shape", size, 1) for size in shape)
        if len(sides) != 3 or sides[0] != sides[1] or side % sides[0]:
            raise UserError(
                "condition_shape: expected (height, width, channels), square, of a side that "
                f"divides {side}, got {tuple(shape)}"
            )
        self.shape, self.channels = sides, sides[-1]
        self.encoder_blocks = encoder_blocks

    def get_config(self) -> dict:
        shape, blocks = list(self.shape), self.encoder_blocks
        return {**super().get_config(), "shape": shape, "encoder_blocks": blocks}

    @property
    def in_words(self) -> str:
        return f"float32 features of shape {self.shape}"

    def make_layer(
        self, resolutions: Sequence[int], width_at: Callable, **shared: Any
    ) -> keras.layers.Layer:
        blocks, channels = self.encoder_blocks, self.channels
        return Encoder(blocks, channels=channels, name="condition_encoder", **shared)

    def read(self, layer: keras.layers.Layer, side: int, condition: Any) -> GivenCondition:
        image = upsampled(tf.convert_to_tensor(condition), side // self.shape[0])
        return GivenCondition(image, layer(image))


class ImageCondition(FeaturesCondition):
    """An image: uint8, or float32 in [-1, 1] from an earlier stage.

    It may be smaller than what is modelled, by a whole factor, and is then repeated
    (super-resolution).

    Args:
        residual: whether the means of the head are what it makes of the features plus this image.
        *args: those of `FeaturesCondition`.
    """

    kind = IMAGE
    dtype = tf.uint8

    def __init__(self, *args: Any, residual: bool = False) -> None:
        super().__init__(*args)
        self.is_residual = residual

    def get_config(self) -> dict:
        residual = {"residual": True} if self.is_residual else {}
        return {**super().get_config(), **residual}

    @property
    def in_words(self) -> str:
        return f"uint8 images of shape {self.shape}"

    def read(self, layer: keras.layers.Layer, side: int, condition: Any) -> GivenCondition:
        condition = tf.convert_to_tensor(condition)
        if condition.dtype == tf.uint8:
            condition = units.signed_from_levels(condition, bit_depth=8)
        given = super().read(layer, side, condition)
        return given._replace(base=given.image) if self.is_residual else given

    def rounded(self, condition: Any) -> tf.Tensor:
        return units.images_from_signed(condition)

    def natural(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the smaller image, uint8: each pixel is the mean of a square, rounded."""
        side, small = images.shape[1], self.shape[0]
        if small == side or self.shape[-1] != images.shape[-1]:
            return super().natural(images)
        pooled = tf.nn.avg_pool2d(tf.cast(images, tf.float32), *[side // small] * 2, "VALID")
        return tf.cast(tf.floor(pooled + 0.5), tf.uint8)


class LabelCondition(Condition):
    """A class: integers [batch].

    Args:
        num_classes: labels are 0 to ``num_classes - 1``.
    """

    kind = LABEL
    dtype = tf.int32

    def __init__(self, num_classes: int | None) -> None:
        self.num_classes = check_integer("num_classes", num_classes, 1)

    def get_config(self) -> dict:
        return {**super().get_config(), "num_classes": self.num_classes}

    @property
    def in_words(self) -> str:
        return f"integer labels from 0 to {self.num_classes - 1}"

    def make_layer(
        self, resolutions: Sequence[int], width_at: Callable, **shared: Any
    ) -> keras.layers.Layer:
        widths = {resolution: width_at(resolution) for resolution in resolutions}
        dtype = shared["dtype"]
        return LabelMaps(self.num_classes, widths, dtype=dtype, name="condition_encoder")

    def read(self, layer: keras.layers.Layer, side: int, condition: Any) -> GivenCondition:
        return GivenCondition(maps=layer(tf.convert_to_tensor(condition)))

    def checked_batch(self, condition: Any, count: int) -> np.ndarray:
        array = super().checked_batch(condition, count)
        if not ((array >= 0) & (array < self.num_classes)).all():
            raise UserError(f"condition: expected {self.in_words}, got {np.unique(array).tolist()}")
        return array


def make_condition(
    kind: str,
    image_shape: Sequence[int],
    shape: Sequence[int] | None = None,
    num_classes: int | None = None,
    encoder_blocks: str = "",
    residual: bool = False,
) -> Condition:
    """Returns the condition of a kind, if the arguments fit together.

    Args:
        kind: "image", "features" or "label".
        image_shape: of the images that are modelled.
        shape: (height, width, channels) of an image or of features; None for ``image_shape``.
        num_classes: of labels.
        encoder_blocks: layer string of the encoder of the condition.
        residual: see `ImageCondition`.

    Raises:
        UserError: they do not.
    """
    if kind not in KINDS:
        raise UserError(f"condition: expected one of {', '.join(KINDS)}, got {kind!r}")
    if residual and (kind != IMAGE or (shape and shape[-1] != image_shape[-1])):
        raise UserError(
            f"residual: expected an image of {image_shape[-1]} channels as condition, got {kind} "
            f"of shape {shape}"
        )
    if kind == LABEL:
        if shape is not None:
            raise UserError(f"condition_shape: a label has none, got {shape!r}")
        return LabelCondition(num_classes)
    if num_classes is not None:
        raise UserError(f"num_classes: only a label has classes, got {num_classes!r}")
    if kind == FEATURES and shape is None:
        raise UserError("condition_shape: features need one, (height, width, channels)")
    shape = image_shape if shape is None else shape
    if kind == FEATURES:
        return FeaturesCondition(shape, encoder_blocks, image_shape[0])
    return ImageCondition(shape, encoder_blocks, image_shape[0], residual=residual)
