"""Hierarchical VAEs as Keras models."""

from pcvae.models.io import load_weights, read_model, write_model
from pcvae.models.presets import small_vdvae
from pcvae.models.reference_weights import load_reference_weights
from pcvae.models.vdvae import VDVAE

__all__ = [
    "VDVAE",
    "load_reference_weights",
    "load_weights",
    "read_model",
    "small_vdvae",
    "write_model",
]
