"""The weights of a model by name, what becomes of them in training, and their hash.

The functions of a model are properties and methods of a `HierarchicalModel`. Each of its weights is
one of `trained_weights`, `statistics` and `frozen_weights`.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pcvae.checks import some_names
from pcvae.errors import UserError


def named_weights(model: Any) -> dict:
    """{name: variable} of all weights, by names without that of the model."""
    return {weight.path.split("/", 1)[1]: weight for weight in model.weights}


def trained_weights(model: Any) -> dict:
    """{name: variable} of the weights that training moves by gradients."""
    return {name: w for name, w in model.named_weights.items() if w.trainable}


def statistics(model: Any) -> dict:
    """{name: variable} of what training moves without a gradient, such as moving means.

    A model is called in training mode by `fit` and by the `Trainer`, and in
    inference mode everywhere else.
    """
    layers = (layer for layer in model._flatten_layers() if not layer.trainable)
    held = {id(weight) for layer in layers for weight in layer._non_trainable_variables}
    named = model.named_weights.items()
    return {name: w for name, w in named if is_statistic(w) and id(w) not in held}


def frozen_weights(model: Any) -> dict:
    """{name: variable} of the weights that stay as they are; see `freeze`."""
    moved = model.trained_weights.keys() | model.statistics.keys()
    return {name: w for name, w in model.named_weights.items() if name not in moved}


def frozen_names(model: Any) -> frozenset[str]:
    """Names of the weights that are held, by `freeze` or by ``trainable`` of a layer."""
    return frozenset(model.frozen_weights)


def freeze(model: Any, names: Iterable[str]) -> None:
    """Holds weights by name, too: nothing trains them.

    A statistic is held together with the layer whose own it is, all weights of it: as with
    ``trainable`` of Keras, the layer then computes as in inference.

    Raises:
        UserError: there is no weight of a name.
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise UserError(f"freeze: expected a list of names of weights, got {names!r}")
    names, weights = frozenset(names), model.named_weights
    if unknown := sorted(names - weights.keys()):
        raise UserError(f"freeze: {model.name} has no weight {some_names(unknown, 3)}")
    statistics = {id(weights[name]) for name in names if is_statistic(weights[name])}
    for name in names:
        weights[name].trainable = False
    for layer in model._flatten_layers() if statistics else ():
        if any(id(weight) in statistics for weight in layer._non_trainable_variables):
            layer.trainable = False


def check_finite(model: Any) -> None:
    """Raises UserError, which names them, if weights are NaN or infinite."""
    named = model.named_weights.items()
    if wrong := [name for name, weight in named if not np.isfinite(weight.numpy()).all()]:
        raise UserError(f"{model.name}: NaN or infinity in {some_names(wrong, 3)}")


def twin(model: Any) -> Any:
    """Returns a model of the same configuration, with equal frozen weights and fresh others."""
    twin = made_again(model)
    copy_weights(model.frozen_weights, twin)
    return twin


def deep_copy(model: Any, memo: dict) -> Any:
    """Returns a model of the same configuration and weights; see `copy.deepcopy`."""
    copied = memo[id(model)] = made_again(model)
    copy_weights(model.named_weights, copied)
    return copied


def made_again(model: Any) -> Any:
    """Returns a model of the same configuration, whose weights have the same names.

    Raises:
        UserError: they have not, as where Keras numbers a layer that was given no name.
    """
    again = type(model).from_config(model.get_config())
    names, new_names = set(model.named_weights), set(again.named_weights)
    if names != new_names:
        raise UserError(
            f"{model.name}: made again from its configuration, expected weights of the same "
            f"names, got {some_names(sorted(new_names - names), 2)} for "
            f"{some_names(sorted(names - new_names), 2)}: give every layer of it a name, and "
            "every argument to get_config"
        )
    return again


def is_statistic(weight: keras.Variable) -> bool:
    """Says whether a weight was made to be moved without a gradient, such as a moving mean."""
    made = weight._value  # itself: what `value` returns may have been cast
    trainable = weight.trainable if made is None else made.trainable
    return not trainable and tf.as_dtype(weight.dtype).is_floating


def copy_weights(weights: dict, model: keras.Model) -> None:
    """Assigns {name: variable} to the weights of a model of these names."""
    targets = model.named_weights
    for name, weight in weights.items():
        targets[name].assign(weight)


def weights_sha256(model: keras.Model) -> str:
    """Returns the SHA-256 of all weights of a model, their names, types and shapes included."""
    return _sha256(model.named_weights)


def frozen_weights_sha256(model: keras.Model) -> str:
    """Returns the SHA-256 of the frozen weights of a model; see `weights_sha256`."""
    return _sha256(model.frozen_weights)


def _sha256(weights):
    digest = hashlib.sha256()
    for name, weight in sorted(weights.items()):
        array = np.ascontiguousarray(weight.numpy())
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
