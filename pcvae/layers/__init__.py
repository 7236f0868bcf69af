"""Keras layers from which hierarchical VAEs are built."""

from pcvae.layers.condition import Gate, LabelMaps
from pcvae.layers.decoder import Decoder
from pcvae.layers.encoder import Encoder
from pcvae.layers.heads import HEADS, Head, make_head
from pcvae.layers.prefix_decoder import GivenLatentLevel, PrefixDecoder
from pcvae.layers.residual import BottleneckBlock
from pcvae.layers.stack import Stack
from pcvae.layers.top_down import DeterministicLevel, TopDownLevel

__all__ = [
    "HEADS",
    "BottleneckBlock",
    "Decoder",
    "DeterministicLevel",
    "Encoder",
    "Gate",
    "GivenLatentLevel",
    "Head",
    "LabelMaps",
    "PrefixDecoder",
    "Stack",
    "TopDownLevel",
    "make_head",
]
