"""Runs a study of the paper's ideas that needs no pictures: gaussian.

Usage:
  pcvae-study gaussian
  pcvae-study gaussian --run_dir=runs/gaussian --steps=3000 --seed=0

gaussian: on Gaussian data with variances proportional to 1/i it draws Shannon's rate-distortion
curve, that of a diffusion, and the prefixes of two linear hierarchies that it trains: one by the
ELBO, one with constrained rates (eq. 3 of the paper). Some minutes on 2 cores. Prints the table and
writes RUN_DIR/results/gaussian.json and RUN_DIR/images/gaussian.png.
"""

import os

from absl import flags

from pcvae.checks import check_folder, check_seed
from pcvae.cli import command, shared_flags
from pcvae.errors import UserError

STUDIES = ("gaussian",)


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-study."""
    shared_flags.define(values, "run_dir", "Where the files go (default: runs/study-NAME).")
    text = "Components of the data."
    flags.DEFINE_integer("num_dims", 256, text, lower_bound=2, upper_bound=1024, flag_values=values)
    text = "Updates of each training."
    flags.DEFINE_integer("steps", 3000, text, lower_bound=1, flag_values=values)
    text = "Of weights, data and noise."
    shared_flags.define(values, "seed", text)


def run(values: flags.FlagValues, names: list[str]) -> None:
    """Runs the study that is named."""
    if len(names) != 1 or names[0] not in STUDIES:
        got = " ".join(names) or "none"
        raise UserError(f"study: expected one of {', '.join(STUDIES)}, got {got}")
    check_seed(values.seed)
    folder = values.run_dir or os.path.join("runs", f"study-{names[0]}")
    check_folder(folder, "--run_dir")
    command.import_runs()
    from pcvae import studies  # only now: it takes TensorFlow

    studies.gaussian_study(
        folder=folder, num_dims=values.num_dims, steps=values.steps, seed=values.seed
    )


main = command.Command("study", __doc__, define_flags, run, takes_arguments=True).main

if __name__ == "__main__":
    raise SystemExit(main())
