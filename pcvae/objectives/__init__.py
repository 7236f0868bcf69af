"""What a hierarchical VAE is trained for: pure functions of its outputs."""

from pcvae.objectives.constrained import (
    ConstrainedDistortion,
    ConstrainedRate,
    Constraint,
    ProgressiveCoding,
)
from pcvae.objectives.distortions import mse
from pcvae.objectives.elbo import NegativeELBO
from pcvae.objectives.multipliers import LagrangeMultiplier
from pcvae.objectives.prefix_distortion import PrefixDistortion

__all__ = [
    "ConstrainedDistortion",
    "ConstrainedRate",
    "Constraint",
    "LagrangeMultiplier",
    "NegativeELBO",
    "PrefixDistortion",
    "ProgressiveCoding",
    "mse",
]
