"""Evaluates a run on every image of a split: bits per dimension, rates, distortion.

Usage:
  pcvae-evaluate --run_dir=runs/quickstart
  pcvae-evaluate --run_dir=runs/quickstart --split=train --num_images=1000
  pcvae-evaluate --run_dir=runs/quickstart --data=folder:PATH --output=photos.json

Replaces results/evaluation.json in the run directory, whatever it was measured on before; --output
writes elsewhere. The file says which images were taken.
"""

from absl import flags

from pcvae.commands import command


def define_flags(values):
    """Defines the flags of pcvae-evaluate."""
    command.define_run_dir(values)
    text = "Which images of the dataset."
    flags.DEFINE_enum("split", "test", ["train", "validation", "test"], text, flag_values=values)
    text = "How many images, the first ones of the split (default: all)."
    flags.DEFINE_integer("num_images", None, text, lower_bound=1, flag_values=values)
    flags.DEFINE_integer("seed", 0, "Seed of the latents' noise.", flag_values=values)
    text = "Other images than those of the run: synthetic, folder:PATH, arrays:FILE, ..."
    flags.DEFINE_string("data", None, text, flag_values=values)
    text = "Images at a time (default: as in training)."
    flags.DEFINE_integer("batch_size", None, text, lower_bound=1, flag_values=values)
    text = "FILE.json, replaced if it is there (default: results/evaluation.json of the run)."
    flags.DEFINE_string("output", None, text, flag_values=values)


def run(values):
    """Checks the flags, then evaluates."""
    run_dir = command.require_run(values.run_dir)
    if values.output is not None:
        command.require_output(values.output, (".json",))
    runs = command.import_runs()
    runs.evaluate(
        run_dir=run_dir,
        split=values.split,
        num_images=values.num_images,
        seed=values.seed,
        spec=values.data,
        batch_size=values.batch_size,
        output=values.output,
    )


main = command.Command("evaluate", __doc__, define_flags, run).main
