"""The ladder VAE (Sonderby et al. 2016, arXiv 1602.02282) as a Keras model."""

from typing import ClassVar

from pcvae.layers.cells.ladder import LadderCell
from pcvae.models.registry import register
from pcvae.models.vdvae import VDVAE


@register
class LadderVAE(VDVAE):
    """A `VDVAE` whose levels are `LadderCell`s: the posterior is the prior times a likelihood.

    Layer strings, conditions, readouts and everything else are those of a `VDVAE`, and so are the
    arguments.
    """

    cell_class: ClassVar[type] = LadderCell
