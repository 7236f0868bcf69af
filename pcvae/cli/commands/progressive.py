"""Shows how images and samples of a run become known, from coarse latents to fine ones.

Usage:
  pcvae-progressive --run_dir=runs/quickstart
  pcvae-progressive --run_dir=runs/quickstart --num_images=8 --num_samples=4 --temperature=0.8

Writes into the run directory: images/progressive_reconstructions.png, a row per image and a column
per prefix, with its bits and PSNR; images/progressive_samples.png, samples whose first levels are
fixed while the rest is drawn anew; images/rate_maps.png, where in the picture the bits of a
resolution go; results/progressive.json, the numbers. A report that is there shows them, too.
"""

from absl import flags

from pcvae.cli import command, early, shared_flags


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-progressive."""
    shared_flags.define_run(values)
    shared_flags.define(values, "split")
    text = "How many images of the split; --seed chooses them."
    shared_flags.define(values, "num_images", text, default=4, upper_bound=32)
    shared_flags.define(values, "num_samples", default=2, upper_bound=32)
    shared_flags.define(values, "seed", shared_flags.SEED_OF_PICTURES)
    text = "Temperature of the samples."
    shared_flags.define(values, "temperature", text, default=1.0)
    shared_flags.define(values, "data", shared_flags.OTHER_IMAGES)


def run(values: flags.FlagValues) -> None:
    """Checks the flags, then draws."""
    run_dir = command.require_run(values.run_dir)
    early.check_results(run_dir)
    command.import_runs().progressive(
        run_dir=run_dir,
        **shared_flags.fallback_argument(values),
        split=values.split,
        num_images=values.num_images,
        num_samples=values.num_samples,
        seed=values.seed,
        temperature=values.temperature,
        spec=values.data,
    )


main = command.Command("progressive", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
