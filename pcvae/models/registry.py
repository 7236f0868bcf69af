"""The one table of models: what a ``model.json`` may name, and gin may find by name."""

from typing import TypeVar

import keras

ModelClass = TypeVar("ModelClass", bound=type)
_MODELS: dict[str, type] = {}


def register(model_class: ModelClass) -> ModelClass:
    """Registers a class of models under its name, also with Keras; a decorator.

    A model of the class is rebuilt by ``from_config(get_config())``, whose values are numbers,
    words, and lists and dicts of them.
    """
    keras.saving.register_keras_serializable(package="pcvae")(model_class)
    _MODELS[model_class.__name__] = model_class
    return model_class


def registered_models() -> dict[str, type]:
    """Returns {name: class} of all models."""
    return dict(_MODELS)
