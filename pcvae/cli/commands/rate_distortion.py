"""Measures rate and distortion of every prefix of a run's latents: table, JSON, plots.

Usage:
  pcvae-rate-distortion --run_dir=runs/quickstart
  pcvae-rate-distortion --run_dir=runs/quickstart --refit_steps=1000
  pcvae-rate-distortion --run_dir=runs/quickstart --refit_steps=1000 --prefixes=1x1,4x4

The distortion of a prefix takes a decoder that is fitted to it with the posterior frozen:
--refit_steps=N fits one for each prefix, all in one run, and the same command goes on where it was
stopped. Without it the decoders that were fitted before are used; the rows with the prior's means
are there in any case. Writes results/rate_distortion.json and images/*.png in the run directory.
"""

import os
import re

from absl import flags

from pcvae.cli import command, early, shared_flags
from pcvae.errors import UserError


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-rate-distortion."""
    shared_flags.define_run(values)
    text = "Steps of the fit of the decoders; 0 fits none and uses those that are there."
    shared_flags.define(values, "refit_steps", text, default=0, lower_bound=0)
    text = (
        "Prefixes that get a decoder, by resolution (4x4,8x8: all levels up to it) or number of "
        "levels (3,7); by default the last level of each resolution."
    )
    flags.DEFINE_string("prefixes", None, text, flag_values=values)
    text = "Learning rate of the fit, the highest of its cosine; wide models take less."
    flags.DEFINE_float("refit_learning_rate", 4e-3, text, flag_values=values)
    text = "Remove the decoders that are there and fit anew."
    flags.DEFINE_bool("refit_from_scratch", False, text, flag_values=values)
    text = "Which images of the dataset are measured; the fit takes the training split."
    shared_flags.define(values, "split", text)
    shared_flags.define(values, "num_images")
    text = "Seed of the latents' noise, and of the fit."
    shared_flags.define(values, "seed", text)
    shared_flags.define(values, "data", shared_flags.OTHER_IMAGES)
    text = "FILE.npz for rate and distortion of each image."
    flags.DEFINE_string("per_image", None, text, flag_values=values)
    shared_flags.define(values, "batch_size")


def parse_prefixes(text: str | None) -> list[int | str] | None:
    """Returns the prefixes of a flag: integers and resolutions such as "4x4"; None for None."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if not re.fullmatch(r"\d+(x\d+)?", part):
            raise UserError(
                f"--prefixes={text}: expected resolutions such as 4x4,8x8 or numbers of levels "
                f"such as 3,7; got {part!r}"
            )
    return [int(part) if part.isdecimal() else part for part in parts]


def run(values: flags.FlagValues) -> None:
    """Checks the flags, then fits and measures."""
    run_dir = command.require_run(values.run_dir)
    early.check_results(run_dir)
    prefixes = parse_prefixes(values.prefixes)
    if values.refit_from_scratch and not values.refit_steps:
        raise UserError("--refit_from_scratch needs --refit_steps=N")
    per_image = values.per_image
    if per_image and (not per_image.lower().endswith(".npz") or os.path.isdir(per_image)):
        raise UserError(f"--per_image={per_image}: expected a file name in .npz")
    runs = command.import_runs()
    runs.rate_distortion(
        run_dir=run_dir,
        **shared_flags.fallback_argument(values),
        refit_steps=values.refit_steps,
        prefixes=prefixes,
        refit_learning_rate=values.refit_learning_rate,
        refit_from_scratch=values.refit_from_scratch,
        split=values.split,
        num_images=values.num_images,
        seed=values.seed,
        spec=values.data,
        per_image=per_image,
        batch_size=values.batch_size,
    )


main = command.Command("rate-distortion", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
