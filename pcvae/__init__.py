"""pcvae: hierarchical variational autoencoders and progressive coding in Keras 3."""

import importlib
import os
import sys

from pcvae.errors import UserError
from pcvae.greetings import drop_greetings
from pcvae.kept_docstrings import keep_docstrings
from pcvae.registration import register_with_keras

__version__ = "0.1.0"

_MODULES = (
    "data",
    "distributions",
    "errors",
    "evaluation",
    "export",
    "layers",
    "measure",
    "models",
    "objectives",
    "outputs",
    "quantities",
    "runs",
    "show",
    "studies",
    "tables",
    "training",
    "units",
    "wording",
)

__all__ = ["__version__", "load", *_MODULES]

# The models are written for TensorFlow. Keras takes its backend from the environment, over what
# keras.json says, when it is first imported; TensorFlow takes how much it logs.
if "keras" in sys.modules and (backend := sys.modules["keras"].config.backend()) != "tensorflow":
    raise UserError(
        f"pcvae needs the TensorFlow backend of Keras, and Keras was imported with {backend!r}: "
        "import pcvae before keras, or set KERAS_BACKEND=tensorflow"
    )
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
drop_greetings()
keep_docstrings()
register_with_keras()


def __getattr__(name):
    # Imported when first used: TensorFlow takes seconds, and `pcvae-train --help` needs none of it.
    if name == "load":
        return importlib.import_module("pcvae.runs").load
    if name in _MODULES:
        return importlib.import_module(f"pcvae.{name}")
    raise AttributeError(f"module 'pcvae' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
