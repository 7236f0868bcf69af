"""What the commands on latents share: their flags, and how they are checked."""

import os
from typing import Any

from absl import flags

from pcvae.cli import command, shared_flags
from pcvae.cli.shared_flags import IMAGES
from pcvae.errors import UserError

BELOW = ["keep", "infer", "resample"]


def define_edit_flags(values: flags.FlagValues, what: str) -> None:
    """Defines the flags of an edit whose result is a grid."""
    text = (
        "The levels below the edit: keep those of the image, infer them anew from the image, or "
        "resample them from the prior."
    )
    flags.DEFINE_enum("below", "keep", BELOW, text, flag_values=values)
    text = "Temperature of levels from the prior; 0 takes its means."
    shared_flags.define(values, "temperature", text)
    shared_flags.define(values, "seed", shared_flags.SEED_OF_PICTURES)
    text = (
        "FILE.png for a labelled grid or FILE.npz for arrays, replaced if it is there (default: "
        f"images/{what}.png in the run directory)."
    )
    shared_flags.define(values, "output", text)


def define_pairs(values: flags.FlagValues) -> None:
    """Defines the flags that name images in pairs."""
    flags.DEFINE_string("first", None, f"{IMAGES}.", flag_values=values)
    flags.DEFINE_string("second", None, f"{IMAGES}: as many.", flag_values=values)
    text = "How many pairs at most; --seed chooses them where there are more."
    shared_flags.define(values, "num_images", text, default=8)


def edit_arguments(values: flags.FlagValues, what: str) -> dict[str, Any]:
    """Returns the arguments that all edits share."""
    run_dir = command.require_run(values.run_dir)
    place = os.path.join(run_dir, "images", f"{what}.png")
    return {
        "run_dir": run_dir,
        **shared_flags.fallback_argument(values),
        "output": command.require_output(values.output or place),
        "below": values.below,
        "temperature": values.temperature,
        "seed": values.seed,
    }


def pairs(values: flags.FlagValues) -> dict[str, Any]:
    """Returns the arguments of images in pairs."""
    images = {
        name: command.require_place(name, values[name].value, IMAGES)
        for name in ("first", "second")
    }
    return {**images, "num_images": values.num_images}


def parse_levels(text: str, flag: str) -> list[int]:
    """Returns the indices that a text such as ``0-3,7`` names, ascending.

    Raises:
        UserError: it names none.
    """
    levels = set()
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()) or len(low + high) > 8:
            raise UserError(f"--{flag}={text}: expected numbers and ranges, such as 0-3,7")
        levels |= set(range(int(low), int(high or low) + 1))
    if not levels:
        raise UserError(f"--{flag}={text}: expected numbers and ranges, such as 0-3,7")
    return sorted(levels)
