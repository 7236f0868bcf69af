"""Keras layers from which hierarchical VAEs are built."""

from pcvae.layers.cells import (
    Cell,
    ConvolutionalLevel,
    DeterministicLevel,
    ResidualPosterior,
    Site,
    VDVAECell,
)
from pcvae.layers.encoder import Encoder
from pcvae.layers.gates import Gate, LabelMaps
from pcvae.layers.heads import HEADS, Head, make_head
from pcvae.layers.plan import Given, Mixed, Plan, Posterior, Prior
from pcvae.layers.readout import GivenLatentLevel, Readout
from pcvae.layers.residual import BottleneckBlock
from pcvae.layers.stack import Stack
from pcvae.layers.top_down import TopDown
from pcvae.layers.walk import walk_cells, walk_level

__all__ = [
    "HEADS",
    "BottleneckBlock",
    "Cell",
    "ConvolutionalLevel",
    "DeterministicLevel",
    "Encoder",
    "Gate",
    "Given",
    "GivenLatentLevel",
    "Head",
    "LabelMaps",
    "Mixed",
    "Plan",
    "Posterior",
    "Prior",
    "Readout",
    "ResidualPosterior",
    "Site",
    "Stack",
    "TopDown",
    "VDVAECell",
    "make_head",
    "walk_cells",
    "walk_level",
]
