"""Lines evaluated runs up: one table, one rate-distortion plot, one page.

Usage:
  pcvae-compare runs/quickstart runs/longer
  pcvae-compare runs/sweep/* --output=comparison

RUN RUN ... are run directories that pcvae-train or pcvae-evaluate has evaluated. Writes
comparison.html, comparison.json and rate_distortion.png into the folder --output, over what is
there. The page opens from a file, without a network.
"""

import os
from collections.abc import Sequence

from absl import flags

from pcvae.checks import check_folder
from pcvae.cli import command, shared_flags
from pcvae.errors import UserError


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-compare."""
    text = "The folder that gets the page, the table and the plot."
    shared_flags.define(values, "output", text, default="runs/comparison")


def run(values: flags.FlagValues, run_dirs: Sequence[str]) -> None:
    """Checks the runs, then compares them."""
    run_dirs = [os.path.expanduser(run_dir) for run_dir in run_dirs]
    if len(run_dirs) < 2:
        raise UserError(
            f"expected two or more run directories, got {len(run_dirs)}: pcvae-compare RUN RUN ..."
        )
    for run_dir in run_dirs:
        command.require_run(run_dir, "")
        if not os.path.exists(os.path.join(run_dir, "results", "evaluation.json")):
            raise UserError(
                f"{run_dir}: the run is not evaluated: pcvae-evaluate --run_dir={run_dir}"
            )
    if len({os.path.realpath(run_dir) for run_dir in run_dirs}) < len(run_dirs):
        raise UserError(f"expected different runs, got one of them twice: {' '.join(run_dirs)}")
    check_folder(values.output, "--output")
    command.import_runs().compare(run_dirs=run_dirs, output=values.output)


main = command.Command("compare", __doc__, define_flags, run, takes_arguments=True).main

if __name__ == "__main__":
    raise SystemExit(main())
