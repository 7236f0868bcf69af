"""pcvae: hierarchical variational autoencoders and progressive coding in Keras 3."""

import importlib

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
)

__all__ = ["__version__", "load", *_MODULES]


def __getattr__(name):
    # Imported when first used: TensorFlow takes seconds, and `pcvae-train --help` needs none of it.
    if name == "load":
        return importlib.import_module("pcvae.runs").load
    if name in _MODULES:
        return importlib.import_module(f"pcvae.{name}")
    raise AttributeError(f"module 'pcvae' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
