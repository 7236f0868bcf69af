"""What a hierarchical VAE is trained for: pure functions of its outputs."""

from pcvae.objectives.distortions import mse
from pcvae.objectives.elbo import NegativeELBO

__all__ = ["NegativeELBO", "mse"]
