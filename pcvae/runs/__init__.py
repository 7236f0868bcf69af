"""The root functions: each assembles the parts of one job, does it, and leaves its files.

A run directory holds ``config.gin``, ``operative_config.gin``, ``model.json``, ``run.json``,
``checkpoints/``, ``summaries/{train,eval}/``, ``results/*.json`` and ``images/*.png``. Nothing here
knows gin; arguments that end in ``_fn`` own variables and are called inside the strategy's scope.
"""

from pcvae.runs.finished_run import (
    describe,
    describe_run,
    evaluate,
    load,
    reconstruct,
    sample,
)
from pcvae.runs.prefix_fit import fit_prefix_decoders, load_prefix_decoders
from pcvae.runs.rate_distortion import rate_distortion
from pcvae.runs.training_run import train

__all__ = [
    "describe",
    "describe_run",
    "evaluate",
    "fit_prefix_decoders",
    "load",
    "load_prefix_decoders",
    "rate_distortion",
    "reconstruct",
    "sample",
    "train",
]
