"""Gives images some levels of others.

Usage:
  pcvae-swap --run_dir=runs/quickstart --first=a.png --second=b.png --levels=0-3
  pcvae-swap --run_dir=runs/quickstart --first=DIR --second=DIR --levels=0,2 --below=infer

The grid holds one column for each pair. docs/latents.md says what --below shows.
"""

from absl import flags

from pcvae.cli import command, latent_flags, shared_flags
from pcvae.errors import UserError


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-swap."""
    shared_flags.define_run(values)
    latent_flags.define_pairs(values)
    text = "Which levels the first images get from the second ones, such as 0-3,7; coarsest 0."
    flags.DEFINE_string("levels", None, text, flag_values=values)
    latent_flags.define_edit_flags(values, "swap")


def run(values: flags.FlagValues) -> None:
    """Checks the flags, then swaps."""
    if values.levels is None:
        raise UserError("--levels is missing: which levels are exchanged, such as 0-3,7")
    levels = latent_flags.parse_levels(values.levels, "levels")
    arguments = latent_flags.edit_arguments(values, "swap")
    arguments.update(latent_flags.pairs(values))
    runs = command.import_runs()
    runs.swap(levels=levels, **arguments)
    print(f"wrote {arguments['output']}")


main = command.Command("swap", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
