"""Prints the levels of a model: index, resolution, width, latents, parameters; totals; memory.

Usage:
  pcvae-describe --gin_file=experiments/quickstart.gin
  pcvae-describe --gin_file=models/vdvae_cifar10.gin --gin.models.VDVAE.width=64
  pcvae-describe --gin_file=models/vdvae_cifar10.gin --batch_size=32
  pcvae-describe --run_dir=runs/quickstart

Takes every gin file that pcvae-train takes, and a file that binds nothing but the model: then the
model's own image shape is used instead of the dataset's. Where the file, the run or --batch_size
says how many images a training step takes, its peak memory is estimated, too.
"""

from absl import flags

from pcvae import gin_utils
from pcvae.cli import command, shared_flags
from pcvae.errors import UserError


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-describe."""
    text = "A run directory of pcvae-train, instead of gin files."
    shared_flags.define(values, "run_dir", text)
    text = "Images of a training step, whose memory is estimated (default: of the file or the run)."
    shared_flags.define(values, "batch_size", text)
    shared_flags.define_gin_flags(values)


def run(values: flags.FlagValues) -> None:
    """Checks the flags, builds the model and prints its table."""
    if bool(values.run_dir) == bool(values.gin_file):
        raise UserError("expected either --gin_file or --run_dir")
    if values.run_dir and values.gin_bindings:
        raise UserError("--gin.NAME=VALUE needs --gin_file: a run's model is in its model.json")
    run_dir = command.require_run(values.run_dir) if values.run_dir else None
    runs = command.import_runs()
    if run_dir:
        print(runs.describe_run(run_dir=run_dir, batch_size=values.batch_size))
        return
    configuration = gin_utils.parse(
        [runs.train], values.gin_file, values.gin_bindings, values.gin_search_path
    )
    bound = configuration.arguments(runs.train, ["model_fn", "dataset", "batch_size"])
    if "model_fn" not in bound:
        raise UserError(f"{values.gin_file[-1]} does not bind runs.train.model_fn")
    image_shape = bound["dataset"].image_shape if "dataset" in bound else None
    print(
        runs.describe(
            model_fn=bound["model_fn"],
            image_shape=image_shape,
            batch_size=values.batch_size or bound.get("batch_size"),
            **configuration.referred_arguments(runs.train, "trainer_fn", ["micro_batches"]),
        )
    )


main = command.Command("describe", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
