"""Turns a file of latents into images.

Usage:
  pcvae-decode --run_dir=runs/quickstart --latents=latents.npz --output=images.png

The file is one of pcvae-encode, edited or not. Levels that are missing at the end come from the
prior.
"""

from absl import flags

from pcvae.cli import command


def define_flags(values):
    """Defines the flags of pcvae-decode."""
    command.define_run_dir(values)
    text = "An .npz of level_000, level_001, ..., coarsest first."
    flags.DEFINE_string("latents", None, text, flag_values=values)
    text = "Temperature of levels that are missing; 0 takes the prior's means."
    flags.DEFINE_float("temperature", 0.0, text, lower_bound=0.0, flag_values=values)
    flags.DEFINE_integer("seed", 0, "Seed of levels that are missing.", flag_values=values)
    text = "FILE.png for a grid or FILE.npz for arrays, replaced if it is there."
    flags.DEFINE_string("output", "decoded.png", text, flag_values=values)


def run(values):
    """Checks the flags, then decodes."""
    run_dir = command.require_run(values.run_dir)
    latents = command.require_place("latents", values.latents, "a file of pcvae-encode")
    output = command.require_output(values.output)
    runs = command.import_runs()
    runs.decode(
        run_dir=run_dir,
        latents=latents,
        temperature=values.temperature,
        seed=values.seed,
        output=output,
    )
    print(f"wrote {output}")


main = command.Command("decode", __doc__, define_flags, run).main
