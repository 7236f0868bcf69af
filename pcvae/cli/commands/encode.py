"""Writes the latents of images to a file, level by level.

Usage:
  pcvae-encode --run_dir=runs/quickstart --images=PATH --output=latents.npz

The file holds float32 arrays level_000, level_001, ... [num_images, side, side, width], coarsest
first. pcvae-decode turns it into images again: as it is, into those of pcvae-reconstruct.
"""

from absl import flags

from pcvae.cli import command, shared_flags


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-encode."""
    shared_flags.define_run(values)
    shared_flags.define(values, "images")
    text = "How many images at most; --seed chooses them where there are more."
    shared_flags.define(values, "num_images", text, default=64)
    shared_flags.define(values, "seed", shared_flags.SEED_OF_PICTURES)
    shared_flags.define(values, "output", default="latents.npz")


def run(values: flags.FlagValues) -> None:
    """Checks the flags, then encodes."""
    run_dir = command.require_run(values.run_dir)
    images = command.require_place("images", values.images, shared_flags.IMAGES)
    output = command.require_output(values.output, (".npz",))
    runs = command.import_runs()
    runs.encode(
        run_dir=run_dir,
        **shared_flags.fallback_argument(values),
        images=images,
        num_images=values.num_images,
        seed=values.seed,
        output=output,
    )
    print(f"wrote {output}")


main = command.Command("encode", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
