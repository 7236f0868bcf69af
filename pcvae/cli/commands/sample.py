"""Draws images from a trained model.

Usage:
  pcvae-sample --run_dir=runs/quickstart --num_samples=64 --temperature=0.9 --output=samples.png
  pcvae-sample --run_dir=runs/quickstart --temperature=1.0:0.7 --output=samples/
  pcvae-sample --export=exports/quickstart --num_samples=50000 --output=samples.npz

A .png is a grid of at most 1,024 images, a .npz keeps any number as an array, and DIR/ gets one PNG
for each. The temperature scales the standard deviation of the prior: one number, one for each
level, coarsest first (1.0,0.9,0.8), or a line from the first level to the last (1.0:0.7); of a
composed model also one for each stage, --stage_temperatures=1.0,0.8.
--num_samples=10 and then --num_samples=5 --first_sample=10 are together --num_samples=15.
"""

import hashlib
import math
import os
from collections.abc import Sequence

from absl import flags

from pcvae.checks import check_folder
from pcvae.cli import command, shared_flags
from pcvae.errors import UserError


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-sample."""
    shared_flags.define_run(values)
    text = "A directory of pcvae-export, instead of a run."
    flags.DEFINE_string("export", None, text, flag_values=values)
    text = "How many images."
    shared_flags.define(values, "num_samples", text, default=64)
    text = "Index of the first image."
    flags.DEFINE_integer("first_sample", 0, text, lower_bound=0, flag_values=values)
    text = (
        "Temperature of the prior: a number, one for each level between commas, or FIRST:LAST for "
        "a line from the coarsest level to the finest."
    )
    shared_flags.define_level_temperatures(values, "1.0", text)
    text = (
        "Temperature of each stage of a composed model, between commas, instead of --temperature."
    )
    flags.DEFINE_string("stage_temperatures", None, text, flag_values=values)
    shared_flags.define(values, "seed", "The same seed gives the same images.")
    text = (
        "Of a model with batch normalisation: measure its moving statistics anew from so many "
        "batches of samples at this temperature, as for low ones; 0 leaves those of training."
    )
    flags.DEFINE_integer("recalibrate_batches", 0, text, lower_bound=0, flag_values=values)
    text = "Draw pixels from the head, or take its mean."
    shared_flags.define(values, "pixels", text, default="sample")
    text = (
        "Of a conditional model: labels such as 0,1,2, or the path of images; image i gets the "
        "i-th of them, from the start again after the last. A .png shows images above the samples."
    )
    flags.DEFINE_string("condition", None, text, flag_values=values)
    text = (
        "Images drawn at once (default: 16). They are drawn in whole batches: 1 is fastest for "
        "one image of a large model."
    )
    shared_flags.define(values, "batch_size", text)
    text = (
        "FILE.png or FILE.npz, replaced if it is there, or DIR/ for one PNG each, where nothing is "
        "replaced (default: images/samples_COUNT_tTEMPERATURE_seed_N.png in the run directory)."
    )
    shared_flags.define(values, "output", text)


def parse_temperature(text: str) -> tuple[float | tuple[float, ...], float | None]:
    """Returns (temperature, that of the last level or None).

    The temperature is a float, or a tuple of one float for each level.
    """
    first, colon, last = text.partition(":")
    numbers, end = _numbers(first), _numbers(last) if colon else ()
    if not numbers or end is None or (colon and len(numbers) + len(end) != 2):
        raise UserError(
            f"--temperature={text}: expected a number >= 0, one per level: 1.0,0.9 or a line from "
            "the first level to the last: 1.0:0.7"
        )
    return numbers[0] if len(numbers) == 1 else numbers, end[0] if end else None


def parse_stage_temperatures(values: flags.FlagValues) -> tuple[float, ...] | None:
    """Returns a tuple of one float a stage, or None if --temperature says what to take."""
    text = values.stage_temperatures
    if text is None:
        return None
    if values["temperature"].present:
        raise UserError("expected either --temperature or --stage_temperatures")
    numbers = _numbers(text)
    if not numbers:
        raise UserError(
            f"--stage_temperatures={text}: expected a number >= 0 for each stage, such as 1.0,0.8"
        )
    return numbers


def _numbers(text):
    """Returns a tuple of finite numbers >= 0, or None."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        return None
    return numbers if all(math.isfinite(n) and n >= 0 for n in numbers) else None


def default_name(
    num_samples: int,
    temperature: float | Sequence[float],
    seed: int,
    last: float | None = None,
    first_sample: int = 0,
    pixels: str = "sample",
    recalibrate_batches: int = 0,
) -> str:
    """Returns the name of a picture, such as ``samples_64_t0.9_seed_0.png``."""
    numbers = temperature if isinstance(temperature, tuple) else (temperature,)
    text = "-".join(map(str, numbers))
    if len(numbers) > 8:  # a file name has an end
        text = f"{len(numbers)}x{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    text += "" if last is None else f"to{last}"
    start = f"_from{first_sample}" if first_sample else ""
    kind = "" if pixels == "sample" else f"_{pixels}"
    kind += f"_recalibrated{recalibrate_batches}" if recalibrate_batches else ""
    return f"samples_{num_samples}{start}_t{text}{kind}_seed_{seed}.png"


def run(values: flags.FlagValues) -> None:
    """Checks the flags, then samples."""
    if values.run_dir and values.export:
        raise UserError("expected either --run_dir or --export")
    run_dir = None if values.export else command.require_run(values.run_dir)
    temperature, last = parse_temperature(values.temperature)
    by_stage = parse_stage_temperatures(values)
    name = default_name(
        values.num_samples,
        by_stage or temperature,
        values.seed,
        last,
        values.first_sample,
        values.pixels,
        values.recalibrate_batches,
    )
    place = os.path.join(run_dir, "images", name) if run_dir else name
    output = values.output or place
    if not (output.endswith(os.sep) or os.path.isdir(output)):
        command.require_output(output)
    else:
        check_folder(output, "--output")
    runs = command.import_runs()
    runs.sample(
        run_dir=run_dir,
        export=values.export,
        num_samples=values.num_samples,
        first_sample=values.first_sample,
        temperature=temperature,
        last_temperature=last,
        stage_temperatures=by_stage,
        seed=values.seed,
        pixels=values.pixels,
        condition=values.condition,
        batch_size=values.batch_size,
        recalibrate_batches=values.recalibrate_batches,
        output=output,
        **shared_flags.fallback_argument(values),
    )
    print(f"wrote {output}")


main = command.Command("sample", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
