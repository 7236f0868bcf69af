"""Hierarchical VAEs as Keras models."""

from pcvae.models.composition import frozen_prefix_on, staged_on, staged_vae
from pcvae.models.conditional import ConditionalVDVAE
from pcvae.models.io import load_weights, read_model, write_model
from pcvae.models.prefix_decoders import PrefixDecoders, RefittedPrefixes, prefixes_of
from pcvae.models.presets import small_vdvae
from pcvae.models.reference_weights import load_reference_weights
from pcvae.models.stage_order import condition_of_next_stage, temperatures_of_stages
from pcvae.models.staged import StagedVAE
from pcvae.models.vdvae import VDVAE
from pcvae.models.weights import frozen_weights_sha256, weights_sha256

__all__ = [
    "VDVAE",
    "ConditionalVDVAE",
    "PrefixDecoders",
    "RefittedPrefixes",
    "StagedVAE",
    "condition_of_next_stage",
    "frozen_prefix_on",
    "frozen_weights_sha256",
    "load_reference_weights",
    "load_weights",
    "prefixes_of",
    "read_model",
    "small_vdvae",
    "staged_on",
    "staged_vae",
    "temperatures_of_stages",
    "weights_sha256",
    "write_model",
]
