"""Draws what the channels of one level do: an image moved along each of them.

Usage:
  pcvae-traverse --run_dir=runs/quickstart --images=a.png --level=3
  pcvae-traverse --run_dir=runs/quickstart --images=a.png --level=0 --channels=0-3 --below=resample

One row for each channel; the moves are standard deviations of the prior, the same at every place
of the level. docs/latents.md says what --below shows.
"""

from absl import flags

from pcvae.cli import command, latent_flags, shared_flags
from pcvae.errors import UserError


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-traverse."""
    shared_flags.define_run(values)
    text = f"{shared_flags.IMAGES}; --seed chooses one of them."
    shared_flags.define(values, "images", text)
    text = "Index of the level, coarsest 0; pcvae-describe lists them."
    flags.DEFINE_integer("level", None, text, lower_bound=0, flag_values=values)
    text = "Which channels, such as 0-3,7 (default: all, 16 at most)."
    flags.DEFINE_string("channels", None, text, flag_values=values)
    text = "How many moves from one end to the other; an odd number has 0 in the middle."
    shared_flags.define(values, "num_steps", text)
    text = "The largest move, in standard deviations."
    flags.DEFINE_float("reach", 3.0, text, lower_bound=0.0, flag_values=values)
    latent_flags.define_edit_flags(values, "traversal_level_I")


def run(values: flags.FlagValues) -> None:
    """Checks the flags, then traverses."""
    if values.level is None:
        raise UserError("--level is missing: the index of a level, coarsest 0")
    arguments = latent_flags.edit_arguments(values, f"traversal_level_{values.level:03d}")
    images = command.require_place("images", values.images, shared_flags.IMAGES)
    channels = values.channels
    if channels is not None:
        channels = latent_flags.parse_levels(channels, "channels")
    runs = command.import_runs()
    runs.traverse(
        images=images,
        level=values.level,
        channels=channels,
        num_steps=values.num_steps,
        reach=values.reach,
        **arguments,
    )
    print(f"wrote {arguments['output']}")


main = command.Command("traverse", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
