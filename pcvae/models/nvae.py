"""The NVAE (Vahdat and Kautz 2020, arXiv 2007.03898) as a Keras model."""

from typing import ClassVar

from pcvae.layers.cells.nvae import NVAECell
from pcvae.layers.nvae_blocks import NVAEEncoderBlock
from pcvae.models.registry import register
from pcvae.models.vdvae import VDVAE


@register
class NVAE(VDVAE):
    """A `VDVAE` of the NVAE's cells: batch normalisation, depthwise kernels, residual posterior.

    Layer strings, conditions, readouts and everything else are those of a `VDVAE`, and so are the
    arguments; ``bottleneck`` counts for readouts and for levels without latents alone, which are
    those of a `VDVAE`. Moving statistics fit what training saw; `recalibrated` measures them for
    samples of another temperature.
    """

    cell_class: ClassVar[type] = NVAECell
    encoder_block_class: ClassVar[type] = NVAEEncoderBlock
