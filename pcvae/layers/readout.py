"""The decoder d_k of a prefix: from latents z_1:k to an image, with nothing random in it."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pcvae.layers.cells import DeterministicLevel
from pcvae.layers.depth import LevelFunctions
from pcvae.layers.heads import make_head
from pcvae.layers.residual import add_branch
from pcvae.layers.top_down_pass import TopDownPass, batch_size_of


@keras.saving.register_keras_serializable(package="pcvae")
class GivenLatentLevel(DeterministicLevel):
    """A level that takes its latent as given and has neither prior nor posterior.

    The prior's residual stays, without the parameters of a Gaussian; then the latent enters by a
    1x1 convolution and a residual block follows.

    Args:
        width: channels of the features.
        latent_width: channels of the latent.
        middle_width: channels of the blocks' bottleneck.
        **kwargs: the other arguments of `ConvolutionalLevel`, and those of a Keras layer.
    """

    def __init__(self, width: int, latent_width: int, middle_width: int, **kwargs: Any) -> None:
        super().__init__(width, middle_width, **kwargs)
        self.latent_width = latent_width

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self.latent_projection = self.latent_entrance(self.latent_width)

    def call(self, features: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """Maps features [batch, side, side, width] and a latent [.., latent_width] to features."""
        features = self.prior_block(features)
        return self.residual_block(add_branch(features, self.latent_projection(latent)))

    def compute_output_shape(self, features_shape: tuple, latent_shape: Any = None) -> tuple:
        return features_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "latent_width": self.latent_width}


@keras.saving.register_keras_serializable(package="pcvae")
class Readout(TopDownPass):
    """A decoder d_k for the mean squared error (Shu and Ermon 2022, section 3).

    It has the form of a first stage's decoder: levels that take a latent up to k, deterministic
    levels above, then a linear head. So its capacity is that of a model trained for this prefix
    alone (ours: the paper says only that a fresh decoder is fitted).

    Args:
        blocks: as in `TopDownPass`, and so are the arguments that are not listed here.
        width: channels at every resolution that `width_per_resolution` does not name.
        num_latent_levels: the prefix: the number of levels k, or a resolution such as ``"4x4"``.
        channels: channels of the images.
        **kwargs: the other arguments of `TopDownPass`, and those of a Keras layer.

    Raises:
        UserError: the arguments do not fit together.
    """

    def __init__(
        self, blocks: str, width: int, num_latent_levels: int, channels: int = 3, **kwargs: Any
    ) -> None:
        super().__init__(blocks, width, num_latent_levels=num_latent_levels, **kwargs)
        self.channels = channels
        self.head = make_head("linear", channels, dtype=self.dtype_policy, name="head")

    def build(self, input_shape: Any = None) -> None:
        self.head.build((None, None, None, self.width_at(self.image_size)))
        super().build(input_shape)

    def _make_level(self, group, **arguments):
        if self.has_latents(group):
            return GivenLatentLevel(latent_width=self.latent_width, **arguments)
        return DeterministicLevel(**arguments)

    def call(self, latents: Sequence[tf.Tensor]) -> tf.Tensor:
        """Decodes latents.

        Args:
            latents: tensors [batch, side, side, latent_width], coarsest first; those beyond the
                prefix are left alone.

        Returns:
            float32 [batch, height, width, channels] in [-1, 1].

        Raises:
            ValueError: there are fewer latents than the prefix has.
        """
        if len(latents) < self.num_levels:
            raise ValueError(f"expected {self.num_levels} latents or more, got {len(latents)}")

        functions = LevelFunctions()

        def run(group, stack, features):
            if not self.has_latents(group):
                return stack(features, functions=functions)
            last = group.first_level + group.num_levels
            given = tf.stack(latents[group.first_level : last])
            return stack.scan(_with_latent, features, (given,), functions=functions)[0]

        features = self._pass(batch_size_of(latents[0]), run)
        return self.head.mean(self.head(features))

    def compute_output_shape(self, input_shape: Any = None) -> tuple:
        return (None, self.image_size, self.image_size, self.channels)

    def get_config(self) -> dict:
        return {**super().get_config(), "channels": self.channels}


def _with_latent(level, features, latent):
    """The step of a level that is given its latent."""
    return level(features, latent), ()
