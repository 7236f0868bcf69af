"""Turns a file of latents into images.

Usage:
  pcvae-decode --run_dir=runs/quickstart --latents=latents.npz --output=images.png

The file is one of pcvae-encode, edited or not. Levels that are missing at the end come from the
prior.
"""

from absl import flags

from pcvae.cli import command, shared_flags


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-decode."""
    shared_flags.define_run(values)
    text = "An .npz of level_000, level_001, ..., coarsest first."
    flags.DEFINE_string("latents", None, text, flag_values=values)
    text = "Temperature of levels that are missing; 0 takes the prior's means."
    shared_flags.define(values, "temperature", text)
    shared_flags.define(values, "seed", "Seed of levels that are missing.")
    text = "FILE.png for a grid or FILE.npz for arrays, replaced if it is there."
    shared_flags.define(values, "output", text, default="decoded.png")


def run(values: flags.FlagValues) -> None:
    """Checks the flags, then decodes."""
    run_dir = command.require_run(values.run_dir)
    latents = command.require_place("latents", values.latents, "a file of pcvae-encode")
    output = command.require_output(values.output)
    runs = command.import_runs()
    runs.decode(
        run_dir=run_dir,
        **shared_flags.fallback_argument(values),
        latents=latents,
        temperature=values.temperature,
        seed=values.seed,
        output=output,
    )
    print(f"wrote {output}")


main = command.Command("decode", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
