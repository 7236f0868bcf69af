"""Hierarchical VAEs as Keras models.

Every module of this package is imported, so that a model is registered by being here.
"""

import importlib
import pkgutil

from pcvae.layers.plan import Given, Mixed, Plan, Posterior, Prior, given_prefix, posterior_prefix
from pcvae.layers.walk import LATENT, PRIOR_NOISE, RATE_MAP
from pcvae.models.base import HierarchicalModel
from pcvae.models.composition import frozen_prefix_on, stage_of_prefix, staged_on, staged_vae
from pcvae.models.conditional import ConditionalVDVAE
from pcvae.models.conditions import make_condition
from pcvae.models.io import load_weights, read_model, write_model
from pcvae.models.presets import small_vdvae
from pcvae.models.readouts import PrefixDecoders, RefittedPrefixes, prefixes_of
from pcvae.models.reference_weights import load_reference_weights
from pcvae.models.registry import register, registered_models
from pcvae.models.stage_order import condition_of_next_stage, temperatures_of_stages
from pcvae.models.staged import StagedVAE
from pcvae.models.training_memory import TrainingMemory, training_memory
from pcvae.models.vdvae import VDVAE
from pcvae.models.weights import frozen_weights_sha256, weights_sha256

# By their full name: gin runs this file once more under another one.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"pcvae.models.{_module.name}")
globals().update(registered_models())

__all__ = [
    "LATENT",
    "PRIOR_NOISE",
    "RATE_MAP",
    "VDVAE",
    "ConditionalVDVAE",
    "Given",
    "HierarchicalModel",
    "Mixed",
    "Plan",
    "Posterior",
    "PrefixDecoders",
    "Prior",
    "RefittedPrefixes",
    "StagedVAE",
    "TrainingMemory",
    "condition_of_next_stage",
    "frozen_prefix_on",
    "frozen_weights_sha256",
    "given_prefix",
    "load_reference_weights",
    "load_weights",
    "make_condition",
    "posterior_prefix",
    "prefixes_of",
    "read_model",
    "register",
    "registered_models",
    "small_vdvae",
    "stage_of_prefix",
    "staged_on",
    "staged_vae",
    "temperatures_of_stages",
    "training_memory",
    "weights_sha256",
    "write_model",
]
