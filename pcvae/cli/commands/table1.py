"""Table 1 of the paper: is a prefix of an ELBO-trained model a good code?

Usage:
  pcvae-table1
  pcvae-table1 --dataset=synthetic --seeds=0,1,2 --run_dir=runs/table1-synthetic
  pcvae-table1 --dataset=lsun64 --data=lsun:PATH

For each seed:
1. trains a VDVAE by the ELBO (experiments/table1_DATASET_elbo.gin) and measures the rate R_K of the
   prefix z_1:K;
2. freezes its posterior and fits a fresh decoder for the prefix: D_K;
3. trains a model with the rate target R_K (experiments/table1_DATASET_rate.gin): R*, D*;
4. with --capacity_check, trains that model without a rate target: how far rate limits D*.

The same command goes on where it stopped. Prints the table and writes RUN_DIR/results/table1.json,
RUN_DIR/images/table1.png and RUN_DIR/images/reconstructions_seed_*.png (figure 1).
"""

import os
import re

from absl import flags

from pcvae.checks import check_folder
from pcvae.cli import command, shared_flags, step_process
from pcvae.cli.table_flags import define_table_flags, parse_seeds, read_experiment, shared_arguments
from pcvae.errors import UserError

# K, by resolution: 8 times smaller than the image, as in the paper; for 16x16 what there is.
PREFIXES = {"synthetic": "4x4", "svhn": "4x4", "celeba64": "8x8", "lsun64": "8x8"}
# Of the fit of the fresh decoder: that of the ELBO run.
REFIT_LEARNING_RATES = {"synthetic": 4e-3, "svhn": 2e-4, "celeba64": 1.5e-4, "lsun64": 1.5e-4}
# Larger than any rate: nothing is bounded.
NO_RATE_LIMIT_NATS_PER_DIM = 1e6
OWN_MACROS = {
    "SEED": "see --seeds",
    "NUM_LATENT_LEVELS": "see --prefix",
    "RATE_TARGET_NATS_PER_DIM": "to the rate that it has measured",
}


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-table1."""
    define_table_flags(values, "table1", ("elbo", "rate"))
    text = "The prefix: a resolution such as 4x4 or a number of levels (default: as the dataset)."
    flags.DEFINE_string("prefix", None, text, flag_values=values)
    text = "Steps of the fit of the fresh decoder (default: as many as the ELBO run has)."
    shared_flags.define(values, "refit_steps", text, lower_bound=1)
    text = "Also train without a rate target."
    flags.DEFINE_bool("capacity_check", False, text, flag_values=values)


def run(values: flags.FlagValues) -> None:
    """Runs the steps for each seed, then makes the table."""
    seeds = parse_seeds(values.seeds)
    folder = values.run_dir or os.path.join("runs", f"table1-{values.dataset}")
    prefix = _checked_prefix(values.prefix or PREFIXES[values.dataset])
    check_folder(folder, "--run_dir")
    shared = {kind: _shared_arguments(values, kind) for kind in ("elbo", "rate")}
    runs = command.import_runs()
    from pcvae import studies  # only now: it takes TensorFlow

    levels = int(prefix) if prefix.isdigit() else prefix
    of_rate = {"NUM_LATENT_LEVELS": levels, "RATE_TARGET_NATS_PER_DIM": 1.0}
    for kind, own in (("rate", of_rate), ("elbo", {})):
        name = f"table1_{values.dataset}_{kind}"
        read = read_experiment(runs, name, shared[kind], {"SEED": seeds[0], **own})
    studies.check_prefix(read["model_fn"], read["dataset"].image_shape, levels)
    finished = {}
    for seed in seeds:
        place = os.path.join(folder, f"seed_{seed}")
        elbo, rate, free = (os.path.join(place, name) for name in ("elbo", "rate", "no_limit"))

        def train(run_dir, kind, *bindings, seed=seed):
            experiment = f"experiments/table1_{values.dataset}_{kind}.gin"
            own = [f"--gin.{name}={value}" for name, value in (("SEED", seed), *bindings)]
            arguments = [f"--run_dir={run_dir}", f"--gin_file={experiment}"]
            step_process.run_step("train", [*arguments, *shared[kind], *own])

        train(elbo, "elbo")
        refit_steps = values.refit_steps or runs.read_run(elbo)["steps"]
        refit = {
            "run_dir": elbo,
            "prefixes": prefix,
            "refit_steps": refit_steps,
            "refit_learning_rate": REFIT_LEARNING_RATES[values.dataset],
            "seed": seed,
        }
        step_process.run_step(
            "rate_distortion", [f"--{name}={value}" for name, value in refit.items()]
        )
        target = studies.measured_rate_nats_per_dim(run_dir=elbo, prefix=prefix)
        latents = ("NUM_LATENT_LEVELS", _gin_value(prefix))
        train(rate, "rate", latents, ("RATE_TARGET_NATS_PER_DIM", target))
        finished[seed] = {"elbo": elbo, "rate": rate}
        if values.capacity_check:
            limit = ("RATE_TARGET_NATS_PER_DIM", NO_RATE_LIMIT_NATS_PER_DIM)
            train(free, "rate", latents, limit, ("MULTIPLIER_INITIAL", 1e-6))
            finished[seed]["no_limit"] = free
        studies.summarise_table1(
            folder=folder, dataset=values.dataset, prefix=prefix, run_dirs=finished
        )


def _shared_arguments(values, kind):
    """Returns the arguments that the user gives to the runs of one kind."""
    return shared_arguments(values, "table1", OWN_MACROS, constrained=kind == "rate")


def _checked_prefix(prefix):
    if not re.fullmatch(r"[1-9]\d*|([1-9]\d*)x\1", prefix):
        raise UserError(
            f"--prefix: expected a resolution such as 4x4 or a number of levels, got {prefix!r}"
        )
    return prefix


def _gin_value(prefix):
    return prefix if prefix.isdigit() else repr(prefix)


main = command.Command("table1", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
