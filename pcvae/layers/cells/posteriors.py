"""How a cell's posterior is read: as it stands, or relative to the prior."""

from typing import Any, NamedTuple

import tensorflow as tf

from pcvae.distributions.gaussian import DiagonalGaussian
from pcvae.errors import UserError
from pcvae.layers.cells.cell import Cell, Site

ABSOLUTE, RESIDUAL = "absolute", "residual"


class ResidualPosterior(NamedTuple):
    """A cell whose own posterior N(dmu, dsigma) says where q stands relative to the prior.

    With the prior N(mu, sigma),

        q = N(mu + dmu, sigma dsigma),
        KL(q || p) = 1/2 (dmu^2 / sigma^2 + dsigma^2 - ln dsigma^2 - 1)

    (arXiv 2007.03898, section 3.2): when the prior moves, the posterior moves with it, and where
    the network returns zeros, the rate is zero whatever the prior.
    """

    cell: Cell

    def prior(self, h: tf.Tensor, site: Site) -> tuple[DiagonalGaussian, tf.Tensor]:
        """See `Cell`."""
        return self.cell.prior(h, site)

    def posterior(
        self, h: tf.Tensor, prior: DiagonalGaussian, evidence: Any, site: Site
    ) -> DiagonalGaussian:
        """See `Cell`."""
        shift = self.cell.posterior(h, prior, evidence, site)
        return DiagonalGaussian(prior.loc + shift.loc, prior.log_std + shift.log_std)

    def absorb(self, h: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """See `Cell`."""
        return self.cell.absorb(h, latent)


def checked_posterior(posterior: str | None, cell_class: type) -> str:
    """Returns a way to read the posterior of a cell: the one given, or the cell's usual one.

    Args:
        posterior: "absolute", "residual", or None.
        cell_class: a class with `posteriors`, the ways that have a meaning for it, its usual one
            first.

    Raises:
        UserError: it has no meaning for these cells.
    """
    ways = getattr(cell_class, "posteriors", (ABSOLUTE, RESIDUAL))
    if posterior is None:
        return ways[0]
    if posterior not in ways:
        raise UserError(
            f"posterior: a {cell_class.__name__} takes {' or '.join(ways)}, got {posterior!r}: "
            "leave it out"
        )
    return posterior


def read_as(posterior: str, cell: Cell) -> Cell:
    """Returns a cell whose posterior is read in one of the two ways."""
    return ResidualPosterior(cell) if posterior == RESIDUAL else cell
