"""Writes the latents of images to a file, level by level.

Usage:
  pcvae-encode --run_dir=runs/quickstart --images=PATH --output=latents.npz

The file holds float32 arrays level_000, level_001, ... [num_images, side, side, width], coarsest
first. pcvae-decode turns it into images again: as it is, into those of pcvae-reconstruct.
"""

from absl import flags

from pcvae.cli import command
from pcvae.cli.latent_flags import IMAGES


def define_flags(values):
    """Defines the flags of pcvae-encode."""
    command.define_run_dir(values)
    flags.DEFINE_string("images", None, f"{IMAGES}.", flag_values=values)
    text = "How many images at most, the first by name or index."
    flags.DEFINE_integer("num_images", 64, text, lower_bound=1, flag_values=values)
    flags.DEFINE_integer("seed", 0, "Seed of the latents' noise.", flag_values=values)
    text = "FILE.npz, replaced if it is there."
    flags.DEFINE_string("output", "latents.npz", text, flag_values=values)


def run(values):
    """Checks the flags, then encodes."""
    run_dir = command.require_run(values.run_dir)
    images = command.require_place("images", values.images, IMAGES)
    output = command.require_output(values.output, (".npz",))
    runs = command.import_runs()
    runs.encode(
        run_dir=run_dir,
        images=images,
        num_images=values.num_images,
        seed=values.seed,
        output=output,
    )
    print(f"wrote {output}")


main = command.Command("encode", __doc__, define_flags, run).main
