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
from pcvae.runs.training_run import train

__all__ = ["describe", "describe_run", "evaluate", "load", "reconstruct", "sample", "train"]
