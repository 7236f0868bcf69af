"""The weights of a model by name, and which of them training leaves as they are."""

import hashlib

import numpy as np


class NamedWeights:
    """Weights by names that do not depend on the name of the model; mixed into a `keras.Model`."""

    _frozen_names = frozenset()

    @property
    def named_weights(self):
        """{name: variable} of all weights."""
        return {weight.path.split("/", 1)[1]: weight for weight in self.weights}

    @property
    def trained_weights(self):
        """{name: variable} of the weights that training moves."""
        frozen = self._frozen_names
        return {name: v for name, v in self.named_weights.items() if name not in frozen}

    @property
    def frozen_weights(self):
        """{name: variable} of the weights that stay as they are; see `freeze`."""
        return {name: v for name, v in self.named_weights.items() if name in self._frozen_names}

    def twin(self):
        """Returns a model of the same configuration, with equal frozen weights and fresh others."""
        twin = type(self).from_config(self.get_config())
        weights = twin.named_weights
        for name, weight in self.frozen_weights.items():
            weights[name].assign(weight)
        return twin

    def freeze(self, names):
        """Holds weights by name, whatever trains the model; they also stop being trainable."""
        weights = self.named_weights
        self._frozen_names = frozenset(names)
        for name in self._frozen_names:
            weights[name].trainable = False


def weights_sha256(model):
    """Returns the SHA-256 of all weights of a model, their names, types and shapes included."""
    return _sha256(model.named_weights)


def frozen_weights_sha256(model):
    """Returns the SHA-256 of the frozen weights of a model; see `weights_sha256`."""
    return _sha256(model.frozen_weights)


def _sha256(weights):
    digest = hashlib.sha256()
    for name, weight in sorted(weights.items()):
        array = np.ascontiguousarray(weight.numpy())
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
