"""The weights of a model by name, and their hash."""

import hashlib
from typing import Any

import keras
import numpy as np

from pcvae.checks import some_names
from pcvae.errors import UserError


def named_weights(model: keras.Model) -> dict:
    """Returns {name: variable} of all weights, by names without that of the model."""
    return {weight.path.split("/", 1)[1]: weight for weight in model.weights}


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


def is_frozen(weight: keras.Variable) -> bool:
    """Says whether a weight is held that was made to be trained, unlike a moving average."""
    made = weight._value  # itself: what `value` returns may have been cast
    return not weight.trainable and (made is None or made.trainable)


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
