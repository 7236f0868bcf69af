"""Trains the stages of a model one after the other, each on those before it, from nothing.

Usage:
  pcvae-pipeline
  pcvae-pipeline --data=folder:PATH --run_dir=runs/photos --gin.IMAGE_SIZE=32
  pcvae-pipeline --stages=experiments/table2_synthetic_stage1.gin,\\
      experiments/synthetic_middle_stage.gin,experiments/table2_synthetic_stage2.gin

Stage i is the run that pcvae-train makes of its experiment, with --first_stage=RUN_DIR/stage_(i-1)
from the second on; it is kept in RUN_DIR/stage_i. The last one holds the composed model: what
pcvae-sample, pcvae-evaluate and the others take. The same command goes on where it stopped, between
stages and inside of one.
"""

import contextlib
import os

from absl import flags

from pcvae import gin_utils
from pcvae.checks import check_folder
from pcvae.cli import command, shared_flags, step_process
from pcvae.cli.experiments import FIRST_STAGE, parse_experiment
from pcvae.errors import UserError

STAGES = "experiments/table2_synthetic_stage1.gin,experiments/table2_synthetic_stage2.gin"


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-pipeline."""
    text = "The gin files of the stages, in their order."
    flags.DEFINE_list("stages", STAGES, text, flag_values=values)
    text = "Where the runs are kept."
    shared_flags.define(values, "run_dir", text, default=os.path.join("runs", "pipeline"))
    shared_flags.define(values, "data")
    text = (
        "A gin statement for every stage that uses its name, 'NAME = VALUE'; --gin.NAME=VALUE is "
        "the short form."
    )
    shared_flags.define(values, "gin_bindings", text)
    shared_flags.define(values, "gin_search_path")


def run(values: flags.FlagValues) -> None:
    """Checks every stage, then trains one after the other."""
    stages = [stage.strip() for stage in values.stages]
    if not stages or not all(stages):
        raise UserError(f"--stages: expected gin files, got {','.join(stages)!r}")
    if any(binding.partition("=")[0].strip() == FIRST_STAGE for binding in values.gin_bindings):
        raise UserError(f"--gin.{FIRST_STAGE}: pcvae-pipeline sets it itself")
    places = [os.path.join(values.run_dir, f"stage_{i}") for i in range(1, len(stages) + 1)]
    check_folder(values.run_dir, "--run_dir")
    runs = command.import_runs()
    bindings = [_bindings(values, runs, stage, i > 0) for i, stage in enumerate(stages)]
    unused = [text for text in values.gin_bindings if not any(text in used for used in bindings)]
    if unused:
        raise UserError(f"--gin.{unused[0].replace(' = ', '=', 1)}: no stage uses it")
    for index, (stage, place) in enumerate(zip(stages, places, strict=True)):
        print(f"pipeline: stage {index + 1} of {len(stages)}: {stage}", flush=True)
        arguments = [f"--run_dir={place}", f"--gin_file={stage}"]
        arguments += [f"--gin_bindings={binding}" for binding in bindings[index]]
        arguments += [f"--gin_search_path={path}" for path in values.gin_search_path]
        if values.data is not None:
            arguments.append(f"--data={values.data}")
        if index:
            arguments.append(f"--first_stage={places[index - 1]}")
        step_process.run_step("train", arguments)
    print(f"the composed model of {len(stages)} stages is in {places[-1]}", flush=True)


def _bindings(values, runs, stage, on_another):
    """Returns the bindings that one stage takes, after reading its configuration with them.

    Raises:
        UserError: the stage cannot be read, or it is no later stage where one is expected.
    """
    before = "the stage before" if on_another else None

    def parse(bindings):
        parse_experiment(runs, [stage], bindings, values.gin_search_path, before, "stages")

    try:
        parse([])
    except gin_utils.UnsetMacroError as error:
        if FIRST_STAGE not in error.names:
            raise
        raise UserError(f"--stages: {stage} needs a stage before it") from error
    taken = []
    for binding in values.gin_bindings:
        with contextlib.suppress(gin_utils.UnusedMacroError):
            parse([binding])
            taken.append(binding)
    return taken


main = command.Command("pipeline", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
