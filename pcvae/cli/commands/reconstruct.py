"""Encodes images and decodes them from the first levels of their latents.

Usage:
  pcvae-reconstruct --run_dir=runs/quickstart --images=PATH --output=reconstructions.png
  pcvae-reconstruct --run_dir=runs/quickstart --images=digits.npz --num_levels=8

PATH is a folder of pictures, one picture, or a file of arrays (.npy, .npz). A .png shows originals
and reconstructions, a .npz keeps them as arrays. Without --num_levels every level is used.
A model that was trained with decoders for prefixes (ProgressiveCoding) takes the prefix's own.
"""

import os

from absl import flags

from pcvae.cli import command, shared_flags


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-reconstruct."""
    shared_flags.define_run(values)
    text = "A folder of pictures, one picture, or a file of arrays."
    shared_flags.define(values, "images", text)
    text = "How many levels come from the image, coarsest first (default: all)."
    shared_flags.define(values, "num_levels", text)
    text = (
        "own: the decoder trained for this prefix; prior: the model itself, the other levels at "
        "the prior's means (default: own where the model has one)."
    )
    flags.DEFINE_enum("decoder", None, ["own", "prior"], text, flag_values=values)
    text = "How many images at most; --seed chooses them where there are more."
    shared_flags.define(values, "num_images", text, default=64)
    shared_flags.define(values, "seed", shared_flags.SEED_OF_PICTURES)
    text = (
        "FILE.png or FILE.npz, replaced if it is there (default: "
        "images/reconstructions_COUNT_KLEVELS[_DECODER]_seed_N.png in the run directory)."
    )
    shared_flags.define(values, "output", text)


def run(values: flags.FlagValues) -> None:
    """Checks the flags, then reconstructs."""
    run_dir = command.require_run(values.run_dir)
    images = command.require_place(
        "images", values.images, "a folder of pictures, a picture, or an arrays file"
    )
    levels = "all" if values.num_levels is None else values.num_levels
    kind = "" if values.decoder is None else f"_{values.decoder}"
    name = f"reconstructions_{values.num_images}_K{levels}{kind}_seed_{values.seed}.png"
    output = command.require_output(values.output or os.path.join(run_dir, "images", name))
    runs = command.import_runs()
    runs.reconstruct(
        run_dir=run_dir,
        **shared_flags.fallback_argument(values),
        images=images,
        num_levels=values.num_levels,
        decoder=values.decoder,
        seed=values.seed,
        num_images=values.num_images,
        output=output,
    )
    print(f"wrote {output}")


main = command.Command("reconstruct", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
