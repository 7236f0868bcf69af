"""The weights of a model by name, and their hash."""

import hashlib

import keras
import numpy as np


def named_weights(model: keras.Model) -> dict:
    """Returns {name: variable} of all weights, by names without that of the model."""
    return {weight.path.split("/", 1)[1]: weight for weight in model.weights}


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
