"""How a condition enters a top-down pass: closed gates, and a map for each resolution."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="pcvae")
class Gate(keras.layers.Layer):
    """Adds a condition to features, each channel times a weight that starts at zero.

    ``features + kernel * condition`` with a kernel [width]: at the start the features pass as they
    are, so that a conditional model begins as the unconditional one (as VDVAE-SR, arXiv 2203.09445,
    does with one weight per block; one per channel: ours).

    Args:
        width: channels of features and condition.
    """

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.width = width
        self.kernel_initializer = keras.initializers.Zeros()

    def build(self, input_shape: Any = None) -> None:
        self.kernel = self.add_weight(
            (self.width,), self.kernel_initializer, autocast=False, name="kernel"
        )
        super().build(input_shape)

    def call(self, features: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
        """Maps [batch, side, side, width] and a condition that broadcasts with it to features."""
        gate = tf.cast(self.kernel, features.dtype)
        return features + gate * tf.cast(condition, features.dtype)

    def compute_output_shape(self, features_shape: tuple, condition_shape: Any = None) -> tuple:
        return features_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "width": self.width}


@keras.saving.register_keras_serializable(package="pcvae")
class LabelMaps(keras.layers.Layer):
    """A learned vector for each class and resolution, as a condition that is equal everywhere.

    Maps integer labels [batch] to {resolution: [batch, 1, 1, width at it]}.

    Args:
        num_classes: labels are 0 to ``num_classes - 1``.
        widths: {resolution: channels}; its keys may be strings, as JSON has them.
    """

    def __init__(self, num_classes: int, widths: Mapping[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.widths = {int(resolution): width for resolution, width in widths.items()}

    def build(self, input_shape: Any = None) -> None:
        self.tables = {
            str(resolution): self.add_weight(
                shape=(self.num_classes, width),
                # Of the size of activations: behind closed gates zeros would never learn.
                initializer=keras.initializers.RandomNormal(stddev=1.0),
                autocast=False,
                name=f"table_{resolution:03d}",
            )
            for resolution, width in self.widths.items()
        }
        super().build(input_shape)

    def call(self, labels: tf.Tensor) -> dict[int, tf.Tensor]:
        """Maps labels to vectors; a label outside of the classes fails or gives zeros."""
        return {
            resolution: tf.gather(tf.convert_to_tensor(self.tables[str(resolution)]), labels)[
                :, None, None
            ]
            for resolution in self.widths
        }

    def get_config(self) -> dict:
        widths = {str(resolution): width for resolution, width in self.widths.items()}
        return {**super().get_config(), "num_classes": self.num_classes, "widths": widths}
