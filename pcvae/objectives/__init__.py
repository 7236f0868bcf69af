"""What a hierarchical VAE is trained for: pure functions of its outputs."""

from pcvae.objectives.denoising import Denoising
from pcvae.objectives.distortion import mse
from pcvae.objectives.elbo import NegativeELBO
from pcvae.objectives.importance_weighted import ImportanceWeighted, bound_nats, log_weights_of
from pcvae.objectives.kl_shares import KLShares
from pcvae.objectives.lagrangian import (
    ConstrainedDistortion,
    ConstrainedRate,
    LagrangeMultiplier,
    ProgressiveCoding,
    lagrangian,
)
from pcvae.objectives.refit import PrefixDistortion

__all__ = [
    "ConstrainedDistortion",
    "ConstrainedRate",
    "Denoising",
    "ImportanceWeighted",
    "KLShares",
    "LagrangeMultiplier",
    "NegativeELBO",
    "PrefixDistortion",
    "ProgressiveCoding",
    "bound_nats",
    "lagrangian",
    "log_weights_of",
    "mse",
]
