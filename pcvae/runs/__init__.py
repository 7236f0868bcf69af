"""The root functions: each assembles the parts of one job, does it, and leaves its files.

`RunDirectory` says what lies where in a run directory. Nothing here knows gin; arguments that end
in ``_fn`` own variables and are called inside the strategy's scope.
"""

from pcvae.runs.compare import compare
from pcvae.runs.describe import describe, describe_run
from pcvae.runs.evaluate import evaluate
from pcvae.runs.explore import explore
from pcvae.runs.export import export
from pcvae.runs.find_extractor import find_extractor
from pcvae.runs.fit_prefix_decoders import fit_prefix_decoders, load_prefix_decoders
from pcvae.runs.frechet import frechet, frechet_record
from pcvae.runs.import_lpips import import_lpips, read_lpips
from pcvae.runs.import_openai import import_openai
from pcvae.runs.latents import decode, encode, interpolate, swap, traverse
from pcvae.runs.load import load
from pcvae.runs.progressive import progressive
from pcvae.runs.rate_distortion import rate_distortion
from pcvae.runs.reconstruct import reconstruct
from pcvae.runs.report import write_report
from pcvae.runs.run_directory import RunDirectory, read_run
from pcvae.runs.sample import sample
from pcvae.runs.train_extractor import train_extractor
from pcvae.runs.training_run import train

__all__ = [
    "RunDirectory",
    "compare",
    "decode",
    "describe",
    "describe_run",
    "encode",
    "evaluate",
    "explore",
    "export",
    "find_extractor",
    "fit_prefix_decoders",
    "frechet",
    "frechet_record",
    "import_lpips",
    "import_openai",
    "interpolate",
    "load",
    "load_prefix_decoders",
    "progressive",
    "rate_distortion",
    "read_lpips",
    "read_run",
    "reconstruct",
    "sample",
    "swap",
    "train",
    "train_extractor",
    "traverse",
    "write_report",
]
