"""Trains a model; without any flag, a small VDVAE on pictures that the program draws itself.

Usage:
  pcvae-train
  pcvae-train --gin_file=experiments/quickstart.gin --data=folder:PATH --run_dir=DIR
  pcvae-train --gin_file=experiments/quickstart.gin --gin.TRAIN_STEPS=500 --gin.BATCH_SIZE=8
  pcvae-train --gin_file=experiments/table2_synthetic_stage2.gin --first_stage=DIR

The same command on the same directory goes on from the newest checkpoint. Ctrl-C saves one first.
--data takes synthetic, folder:PATH, arrays:FILE.npz, tfds:NAME or lsun:PATH.
"""

import os
import re
from pathlib import Path

from absl import flags

from pcvae import gin_utils, locks
from pcvae.cli import command, shared_flags
from pcvae.cli.experiments import parse_experiment

QUICKSTART = "experiments/quickstart.gin"


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-train."""
    text = "Where the run is kept (default: runs/NAME OF THE GIN FILE, then of the data)."
    shared_flags.define(values, "run_dir", text)
    shared_flags.define(values, "data")
    text = (
        "The run directory of the trained first stage, for an experiment that puts a second one on "
        "it: sets the macro FIRST_STAGE."
    )
    flags.DEFINE_string("first_stage", None, text, flag_values=values)
    shared_flags.define_gin_flags(values)
    text = "Go on with a run directory although the configuration differs from its own."
    flags.DEFINE_bool("allow_config_change", False, text, flag_values=values)
    shared_flags.define(values, "no_fallback")


def default_run_dir(gin_file: str, data: str | None) -> str:
    """Returns runs/NAME for a gin file, and runs/NAME-KIND-PLACE if the data are given."""
    name = Path(gin_file).stem
    if data:
        kind, _, place = data.partition(":")
        place = Path(os.path.abspath(place)).stem if place else ""
        name += "-" + re.sub(r"[^A-Za-z0-9]+", "-", f"{kind} {place}").strip("-")
    return os.path.join("runs", name)


def run(values: flags.FlagValues) -> None:
    """Reads the configuration, then trains."""
    gin_files = values.gin_file or [QUICKSTART]
    run_dir = values.run_dir or default_run_dir(gin_files[-1], values.data)
    gin_utils.check_run_dir(run_dir)
    locks.check_free(run_dir)
    bindings = list(values.gin_bindings)
    if values.data is not None:
        bindings.append(f"data.from_spec.spec = {values.data!r}")
    if values.first_stage is not None:
        command.require_run(values.first_stage, "first_stage")
    runs = command.import_runs()
    configuration = parse_experiment(
        runs, gin_files, bindings, values.gin_search_path, values.first_stage
    )
    if not values.allow_config_change:
        configuration.check_unchanged(run_dir)

    def on_assembled():
        configuration.check_unused()
        os.makedirs(run_dir, exist_ok=True)  # before the images, whose preparation takes a while

    def on_start():
        is_new = configuration.record(run_dir, values.allow_config_change)
        return configuration.markdown() if is_new else None

    configuration.call(
        runs.train,
        run_dir=run_dir,
        on_assembled=on_assembled,
        on_start=on_start,
        **shared_flags.fallback_argument(values),
    )


main = command.Command("train", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
