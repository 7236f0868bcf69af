"""Cells: what one top-down level computes; an architecture is a cell."""

from pcvae.layers.cells.cell import Cell, ConvolutionalLevel, DeterministicLevel, Site
from pcvae.layers.cells.linear import LinearCell
from pcvae.layers.cells.posteriors import ResidualPosterior, checked_posterior, read_as
from pcvae.layers.cells.vdvae import VDVAECell

__all__ = [
    "Cell",
    "ConvolutionalLevel",
    "DeterministicLevel",
    "LinearCell",
    "ResidualPosterior",
    "Site",
    "VDVAECell",
    "checked_posterior",
    "read_as",
]
