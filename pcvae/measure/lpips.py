"""LPIPS, a distance of deep features (Zhang et al. 2018, arXiv 1801.03924), version 0.1.

The weights are those of the published package: a network trained on ImageNet and linear layers
trained on human judgements. pcvae ships and fetches none; `lpips_from_arrays` takes them by name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pcvae.errors import UserError

# Of images in [-1, 1], per channel: the package's, which go back to ImageNet's mean and deviation.
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
EPSILON = 1e-10


class Block(NamedTuple):
    """Convolutions, each followed by a ReLU, whose last output is compared."""

    pool: int  # side of the maximum pool of stride 2 before them; 0 for none
    indices: tuple  # of the convolutions in torchvision's ``features``
    kernel: int = 3
    stride: int = 1
    padding: int = 1


# torchvision's AlexNet and VGG-16 up to their last ReLU.
NETWORKS = {
    "alex": (
        Block(0, (0,), kernel=11, stride=4, padding=2),
        Block(3, (3,), kernel=5, padding=2),
        Block(3, (6,)),
        Block(0, (8,)),
        Block(0, (10,)),
    ),
    "vgg": (
        Block(0, (0, 2)),
        Block(2, (5, 7)),
        Block(2, (10, 12, 14)),
        Block(2, (17, 19, 21)),
        Block(2, (24, 26, 28)),
    ),
}
WIDTHS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}


@keras.saving.register_keras_serializable(package="pcvae")
class LPIPS(keras.Model):
    """The distance of pairs of images.

    Each image is scaled and goes through the network; after each block, features are divided by
    their norm over channels, and the squared differences of the two images are weighted by
    channel, averaged over places, and summed over blocks. Always float32.

    Args:
        network: "alex" or "vgg".
        widths: channels of each block; None for the published ones.

    Raises:
        UserError: an unknown network.
    """

    def __init__(
        self, network: str = "alex", widths: Sequence[int] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        if network not in NETWORKS:
            raise UserError(f"LPIPS: expected one of {', '.join(NETWORKS)}, got {network!r}")
        self.network = network
        self.widths = tuple(widths or WIDTHS[network])
        self.blocks = NETWORKS[network]
        self.min_side = min_side(network)
        self._convolutions, self._channel_weights = {}, []
        width_in = 3
        for block, width in zip(self.blocks, self.widths, strict=True):
            for index in block.indices:
                layer = keras.layers.Conv2D(
                    width,
                    block.kernel,
                    strides=block.stride,
                    data_format="channels_last",
                    activation="relu",
                    dtype="float32",
                    name=f"features_{index}",
                )
                layer.build((None, None, None, width_in))
                self._convolutions[str(index)] = layer
                width_in = width
        for index, width in enumerate(self.widths):
            weight = self.add_weight(shape=(width,), initializer="ones", name=f"lin_{index}")
            self._channel_weights.append(weight)
        self.built = True

    def features(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Returns the normalised features after each block.

        Args:
            images: float32 [batch, height, width, 3] in [-1, 1].

        Returns:
            A list of [batch, height_b, width_b, width of the block].
        """
        hidden = (images - tf.constant(SHIFT)) / tf.constant(SCALE)
        features = []
        for block in self.blocks:
            if block.pool:
                hidden = tf.nn.max_pool2d(hidden, block.pool, 2, "VALID")
            for index in block.indices:
                edge = [block.padding] * 2
                hidden = self._convolutions[str(index)](
                    tf.pad(hidden, [[0, 0], edge, edge, [0, 0]])
                )
            norm = tf.norm(hidden, axis=-1, keepdims=True)
            features.append(hidden / (norm + EPSILON))
        return features

    def per_block(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        """Returns the terms of the distance, float32 [batch, blocks]; see `call`."""
        pairs = zip(self.features(first), self.features(second), strict=True)
        terms = [
            tf.reduce_mean(tf.reduce_sum(weight * (one - other) ** 2, axis=-1), axis=(1, 2))
            for weight, (one, other) in zip(self._channel_weights, pairs, strict=True)
        ]
        return tf.stack(terms, axis=1)

    def call(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        """Returns the distance of each pair.

        Args:
            first: float32 [batch, height, width, 3] in [-1, 1], `min_side` or more at a side.
            second: as ``first``.

        Returns:
            float32 [batch], 0 for equal images.
        """
        return tf.reduce_sum(self.per_block(first, second), axis=1)

    def get_config(self) -> dict:
        return {**super().get_config(), "network": self.network, "widths": list(self.widths)}


def min_side(network: str) -> int:
    """Returns the least side of an image that every layer of a network has an output for."""

    def reaches_the_end(side):
        for block in NETWORKS[network]:
            if block.pool:
                side = (side - block.pool) // 2 + 1
            for _ in block.indices:
                side = (side + 2 * block.padding - block.kernel) // block.stride + 1
            if side < 1:
                return False
        return True

    return next(side for side in range(1, 1000) if reaches_the_end(side))


def canonical_names(names: Iterable[str]) -> dict[str, str]:
    """Returns {canonical name: name} of the weights that LPIPS takes from a state dict.

    Canonical are ``features.N.weight`` and ``.bias`` of torchvision's networks and ``linN.weight``;
    the package's own state dict (``net.sliceS.N.weight``, ``linN.model.1.weight``) is known, too.
    Anything else, such as a classifier, is left out.
    """
    found = {}
    for name in names:
        convolution = re.fullmatch(r"(?:features|net\.slice\d)\.(\d+)\.(weight|bias)", name)
        linear = re.fullmatch(r"lin(\d)(?:\.model\.\d)?\.weight", name)
        if convolution:
            found[f"features.{convolution[1]}.{convolution[2]}"] = name
        elif linear:
            found[f"lin{linear[1]}.weight"] = name
    return found


def check_lpips_shapes(shapes: Mapping[str, Sequence[int]]) -> tuple[str, tuple[int, ...]]:
    """Returns the network and its widths that weights of these shapes belong to.

    Args:
        shapes: {canonical name: shape in PyTorch's layout}; see `canonical_names`.

    Raises:
        UserError: weights are missing, left over, or do not fit together.
    """
    network = next((name for name in NETWORKS if _names(name) == set(shapes)), None)
    if network is None:
        raise UserError(
            "LPIPS: expected the convolutions of AlexNet or VGG-16 and five linear layers, "
            f"features.N.weight, features.N.bias and linN.weight; got {len(shapes)} of them"
        )
    blocks = NETWORKS[network]
    widths = tuple(shapes[f"features.{block.indices[-1]}.bias"][0] for block in blocks)
    width_in, wanted = 3, {}
    for number, (block, width) in enumerate(zip(blocks, widths, strict=True)):
        for index in block.indices:
            wanted[f"features.{index}.weight"] = (width, width_in, block.kernel, block.kernel)
            wanted[f"features.{index}.bias"] = (width,)
            width_in = width
        wanted[f"lin{number}.weight"] = (1, width, 1, 1)
    for name, shape in wanted.items():
        if tuple(shapes[name]) != shape:
            raise UserError(f"LPIPS: expected {name} of shape {shape}, got {tuple(shapes[name])}")
    return network, widths


def _names(network):
    """The canonical names of all weights of a network and its linear layers."""
    indices = [index for block in NETWORKS[network] for index in block.indices]
    names = {f"features.{index}.{kind}" for index in indices for kind in ("weight", "bias")}
    return names | {f"lin{index}.weight" for index in range(len(NETWORKS[network]))}


def lpips_from_arrays(arrays: Mapping[str, np.ndarray]) -> LPIPS:
    """Returns an `LPIPS` that holds weights given by their canonical names, in PyTorch's layout."""
    network, widths = check_lpips_shapes({name: array.shape for name, array in arrays.items()})
    model = LPIPS(network, widths)
    for index, layer in model._convolutions.items():
        # PyTorch: [out, in, height, width]; Keras: [height, width, in, out].
        layer.kernel.assign(arrays[f"features.{index}.weight"].transpose(2, 3, 1, 0))
        layer.bias.assign(arrays[f"features.{index}.bias"])
    for index, weight in enumerate(model._channel_weights):
        weight.assign(arrays[f"lin{index}.weight"].reshape(-1))
    return model
