"""The public names of `pcvae.measure` and `pcvae.show` in one module."""

from pcvae import measure, show
from pcvae.measure import *  # noqa: F403
from pcvae.quantities import QUANTITIES, evaluation_table, measured
from pcvae.show import *  # noqa: F403
from pcvae.tables import number_text, text_table

__all__ = [
    *measure.__all__,
    *show.__all__,
    "QUANTITIES",
    "evaluation_table",
    "measured",
    "number_text",
    "text_table",
]
