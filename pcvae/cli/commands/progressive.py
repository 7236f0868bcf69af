"""Shows how images and samples of a run become known, from coarse latents to fine ones.

Usage:
  pcvae-progressive --run_dir=runs/quickstart
  pcvae-progressive --run_dir=runs/quickstart --num_images=8 --num_samples=4 --temperature=0.8

Writes into the run directory: images/progressive_reconstructions.png, a row an image and a column a
prefix, with its bits and PSNR; images/progressive_samples.png, samples whose first levels are fixed
while the rest is drawn anew; images/rate_maps.png, where in the picture the bits of a resolution
go; results/progressive.json, the numbers. A report that is there shows them, too.
"""

from absl import flags

from pcvae.cli import command


def define_flags(values):
    """Defines the flags of pcvae-progressive."""
    command.define_run_dir(values)
    text = "Which images of the dataset."
    flags.DEFINE_enum("split", "test", ["train", "validation", "test"], text, flag_values=values)
    text = "How many images, the first ones of the split."
    flags.DEFINE_integer("num_images", 4, text, 1, 32, flag_values=values)
    text = "How many samples."
    flags.DEFINE_integer("num_samples", 2, text, 1, 32, flag_values=values)
    text = "Seed of the latents' noise."
    flags.DEFINE_integer("seed", 0, text, flag_values=values)
    text = "Temperature of the samples."
    flags.DEFINE_float("temperature", 1.0, text, lower_bound=0.0, flag_values=values)
    text = "Other images than those of the run: synthetic, folder:PATH, arrays:FILE, ..."
    flags.DEFINE_string("data", None, text, flag_values=values)


def run(values):
    """Checks the flags, then draws."""
    run_dir = command.require_run(values.run_dir)
    command.import_runs().progressive(
        run_dir=run_dir,
        split=values.split,
        num_images=values.num_images,
        num_samples=values.num_samples,
        seed=values.seed,
        temperature=values.temperature,
        spec=values.data,
    )


main = command.Command("progressive", __doc__, define_flags, run).main
