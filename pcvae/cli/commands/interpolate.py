"""Draws the way from images to others through their latents.

Usage:
  pcvae-interpolate --run_dir=runs/quickstart --first=a.png --second=b.png
  pcvae-interpolate --run_dir=runs/quickstart --first=DIR --second=DIR --num_levels=4 --below=infer

The grid holds one column for each pair. slerp goes along a great circle in the noise of the prior,
lerp along a line in the latents. docs/latents.md says what --below shows.
"""

from absl import flags

from pcvae.cli import command, latent_flags, shared_flags


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-interpolate."""
    shared_flags.define_run(values)
    latent_flags.define_pairs(values)
    text = "How many points of the way, ends included."
    shared_flags.define(values, "num_steps", text)
    flags.DEFINE_enum("path", "slerp", ["slerp", "lerp"], "The way.", flag_values=values)
    text = "How many levels are interpolated, coarsest first (default: all)."
    shared_flags.define(values, "num_levels", text, lower_bound=1)
    latent_flags.define_edit_flags(values, "interpolation")


def run(values: flags.FlagValues) -> None:
    """Checks the flags, then interpolates."""
    arguments = latent_flags.edit_arguments(values, "interpolation")
    arguments.update(latent_flags.pairs(values))
    runs = command.import_runs()
    runs.interpolate(
        num_steps=values.num_steps, path=values.path, num_levels=values.num_levels, **arguments
    )
    print(f"wrote {arguments['output']}")


main = command.Command("interpolate", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
