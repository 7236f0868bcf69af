"""Trains one run for each value of a knob, then draws them all on one rate-distortion plot.

Usage:
  pcvae-sweep --gin_file=experiments/synthetic_rate.gin --knob=RATE_TARGET_NATS_PER_DIM \\
      --values=0.01,0.03,0.1 --run_dir=runs/sweep
  pcvae-sweep --gin_file=experiments/synthetic_distortion.gin --knob=DISTORTION_TARGET_PSNR_DB \\
      --values=18,20,22 --data=folder:PATH

Each run is kept in RUN_DIR/KNOB=VALUE and is the run that pcvae-train makes. The same command goes
on where it stopped, run by run; more values add runs. Writes RUN_DIR/results/sweep.json and
RUN_DIR/images/sweep.png after each run.
"""

import os

from absl import flags

from pcvae import gin_utils
from pcvae.checks import check_folder
from pcvae.cli import command, shared_flags, step_process
from pcvae.cli.experiments import parse_experiment
from pcvae.errors import UserError


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-sweep."""
    text = "Where the runs are kept (default: runs/sweep-NAME OF THE GIN FILE)."
    shared_flags.define(values, "run_dir", text)
    text = "The gin macro that differs from run to run, such as RATE_TARGET_BITS_PER_DIM."
    flags.DEFINE_string("knob", None, text, flag_values=values)
    text = "Its values, separated by commas: numbers or words, no lists."
    flags.DEFINE_list("values", [], text, flag_values=values)
    shared_flags.define(values, "data")
    shared_flags.define_gin_flags(values)


def run(values: flags.FlagValues) -> None:
    """Checks all values first, then trains one run after the other."""
    if not values.gin_file:
        raise UserError(
            "--gin_file is missing: the experiment, such as experiments/synthetic_rate.gin"
        )
    if not values.knob or not values["values"].value:
        raise UserError("--knob=NAME and --values=V1,V2,... say what differs from run to run")
    texts = [text.strip() for text in values["values"].value]
    repeated = sorted({text for text in texts if texts.count(text) > 1})
    if repeated or "" in texts:
        raise UserError(f"--values: expected different values, got {','.join(texts)}")
    name = os.path.splitext(os.path.basename(values.gin_file[-1]))[0]
    folder = values.run_dir or os.path.join("runs", f"sweep-{name}")
    check_folder(folder, "--run_dir")
    runs = command.import_runs()
    from pcvae import studies  # only now: it takes TensorFlow

    for text in texts:
        bindings = [*values.gin_bindings, gin_utils.binding(values.knob, text)]
        parse_experiment(runs, values.gin_file, bindings, values.gin_search_path)
    finished = studies.finished_runs_of_sweep(folder=folder, knob=values.knob)
    for index, text in enumerate(texts, start=1):
        print(f"sweep: run {index} of {len(texts)}: {values.knob} = {text}", flush=True)
        run_dir = os.path.join(folder, f"{values.knob}={text}")
        step_process.run_step("train", [f"--run_dir={run_dir}", *_train_arguments(values, text)])
        finished[text] = run_dir
        studies.summarise_sweep(folder=folder, knob=values.knob, run_dirs=finished)


def _train_arguments(values, text):
    """Returns the arguments of pcvae-train for one value of the knob."""
    repeated = {
        "gin_file": values.gin_file,
        "gin_bindings": [*values.gin_bindings, gin_utils.binding(values.knob, text)],
        "gin_search_path": values.gin_search_path,
        "data": [] if values.data is None else [values.data],
    }
    return [f"--{flag}={item}" for flag, items in repeated.items() for item in items]


main = command.Command("sweep", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
