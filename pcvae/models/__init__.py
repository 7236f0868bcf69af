"""Hierarchical VAEs as Keras models."""

from pcvae.models.io import load_weights, read_model, weights_sha256, write_model
from pcvae.models.prefix_decoders import PrefixDecoders, RefittedPrefixes, prefixes_of
from pcvae.models.presets import small_vdvae
from pcvae.models.reference_weights import load_reference_weights
from pcvae.models.vdvae import VDVAE

__all__ = [
    "VDVAE",
    "PrefixDecoders",
    "RefittedPrefixes",
    "load_reference_weights",
    "load_weights",
    "prefixes_of",
    "read_model",
    "small_vdvae",
    "weights_sha256",
    "write_model",
]
