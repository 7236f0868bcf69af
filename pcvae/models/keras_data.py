"""What Keras' loops are given: images, with a condition and with weights, in any of its forms.

A batch is uint8 [batch, height, width, channels]; (images, condition) or (images, condition,
sample weights) for a conditional model; or a dict as `pcvae.data.training_batches` makes it, with
``images`` and, for a conditional model, ``condition``; it may hold ``sample_weight``, too. Where
a model has no condition the second part is not used: it may be the images once more, or labels for
``class_weight``.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.models.conditions import IMAGE
from pcvae.models.inputs import checked_batch

WEIGHTS = "sample_weight"


class Batch(NamedTuple):
    """A batch as the steps take it."""

    num_images: tf.Tensor  # []
    weights: tf.Tensor  # float32 [num_images]
    # Images uint8 [batch, height, width, channels], weights, condition if any. A replica that has
    # no image, at the end of the data, has one of zeros, of weight zero, here: convolutions of
    # nothing have wrong shapes on some processors (oneDNN).
    tensors: tuple

    def own(self, results: Any) -> Any:
        """Returns what was computed of the tensors, nested [batch, ...], for the images alone."""
        return tf.nest.map_structure(lambda values: values[: self.num_images], results)


def batch_of(model: Any, data: Any) -> Batch:
    """Reads what Keras hands to a step.

    Raises:
        UserError: images, condition or weights are not what the model takes, as far as types and
            shapes are known.
    """
    images, condition, weights = _parts(data)
    images = checked_batch(images, model.image_shape)
    images = tf.ensure_shape(images, (None, *model.image_shape))
    num_images = tf.shape(images)[0]
    given = ()
    if model.condition is not None and condition is not None:
        given = (_checked_condition(model.condition, condition),)
    if weights is None:
        weights = tf.ones([num_images])
    elif weights.shape.rank not in (None, 1) and weights.shape[1:].num_elements() != 1:
        raise UserError(
            f"sample_weight: expected one number for each image, got shape {list(weights.shape)}"
        )
    weights = tf.reshape(tf.cast(weights, tf.float32), [num_images])
    at_least_one = tf.maximum(1 - num_images, 0)
    tensors = tuple(
        tf.pad(tensor, [[0, at_least_one], *([[0, 0]] * (tensor.shape.rank - 1))])
        for tensor in (images, weights, *given)
    )
    return Batch(num_images, weights, tensors)


def check(model: Any, x: Any, y: Any = None) -> None:
    """Checks data before a loop begins: in a graph that was made before, shapes are not known.

    Args:
        model: a `HierarchicalModel`.
        x: as `fit` takes it; what can be read but once is not looked at.
        y: the condition; for a model without one the images again, or what is not used.

    Raises:
        UserError: images or conditions are not what the model takes.
    """
    if isinstance(x, tf.data.Dataset):
        data = x.element_spec
    elif isinstance(x, keras.utils.PyDataset):
        data = x[0]
    elif isinstance(x, dict | list | tuple) or hasattr(x, "shape"):
        data = (x, y)
    else:
        return
    images, condition, _ = _parts(data)
    checked_batch(images, model.image_shape)
    if not isinstance(images, np.ndarray) or not isinstance(condition, np.ndarray):
        return
    if model.condition is not None:
        model.condition.checked_batch(condition, len(images))
    elif condition.shape == images.shape and not np.array_equal(condition, images):
        raise UserError(
            "y: a model without a condition has no targets beside its images; leave y out"
        )


def check_weights(x: Any, weights: Any) -> None:
    """Checks sample weights in arrays before a loop begins.

    Raises:
        UserError: there is not one for each image, or one is negative or not finite.
    """
    wanted = "sample_weight: expected one number for each image, finite and not negative"
    try:
        values = np.asarray(weights, np.float64)
    except (TypeError, ValueError):
        raise UserError(f"{wanted}; got {type(weights).__name__}") from None
    images = _parts((x,))[0]
    count = len(images) if hasattr(images, "shape") else len(values)
    if values.size != count or values.shape[:1] != (count,):
        raise UserError(f"{wanted}, {count} in all; got shape {list(values.shape)}")
    if not (np.isfinite(values) & (values >= 0.0)).all():
        wrong = values[~(np.isfinite(values) & (values >= 0.0))].flat[0]
        raise UserError(f"{wanted}; got {wrong:g}")


def with_weights(x: Any, weights: Any) -> dict:
    """Returns data that hold their weights themselves: Keras drops those that come without y."""
    images, condition, _ = _parts((x,))
    given = {} if condition is None else {"condition": condition}
    return {"images": images, **given, WEIGHTS: weights}


def _parts(data):
    """Returns (images, condition, sample weights) of a batch, None for what is not there."""
    images, condition, weights = keras.utils.unpack_x_y_sample_weight(data)
    if isinstance(images, dict):
        if "images" not in images:
            raise UserError(f"expected a batch with 'images', got {', '.join(images) or '{}'}")
        weights = images.get(WEIGHTS, weights)
        images, condition = images["images"], images.get("condition", condition)
    elif isinstance(images, list | tuple):
        if len(images) not in (1, 2):
            raise UserError(
                f"images: expected images, or images and conditions; got {len(images)} arrays"
            )
        images, condition = images[0], images[1] if len(images) == 2 else condition
    return images, condition, weights


def _checked_condition(own, condition):
    """Returns a batch of conditions in the type that the model takes."""
    condition = tf.convert_to_tensor(condition)
    fits = own.spec.shape.is_compatible_with(condition.shape)
    if own.kind == IMAGE:
        fits = fits and condition.dtype in (tf.uint8, tf.float32)
    elif own.dtype.is_integer == condition.dtype.is_integer:
        condition = tf.cast(condition, own.dtype)
    else:
        fits = False
    if not fits:
        raise UserError(
            f"condition: expected {own.in_words}, got {condition.dtype.name} "
            f"{list(condition.shape)}"
        )
    return condition
