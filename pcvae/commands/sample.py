"""Draws images from a trained model.

Usage:
  pcvae-sample --run_dir=runs/quickstart --num_samples=64 --temperature=0.9 --output=samples.png
  pcvae-sample --run_dir=runs/quickstart --temperature=1.0,0.9,0.8 --output=samples.npz

A .png is a grid of at most 1,024 images, a .npz keeps any number as an array. The temperature
scales the standard deviation of the prior: one number, or one for each level, coarsest first.
"""

import hashlib
import math
import os

from absl import flags

from pcvae.commands import command
from pcvae.errors import UserError


def define_flags(values):
    """Defines the flags of pcvae-sample."""
    command.define_run_dir(values)
    text = "How many images."
    flags.DEFINE_integer("num_samples", 64, text, lower_bound=1, flag_values=values)
    text = "Temperature of the prior: a number, or one for each level between commas."
    flags.DEFINE_string("temperature", "1.0", text, flag_values=values)
    flags.DEFINE_integer("seed", 0, "The same seed gives the same images.", flag_values=values)
    text = (
        "FILE.png or FILE.npz, replaced if it is there (default: "
        "images/samples_COUNT_tTEMPERATURE_seed_N.png in the run directory)."
    )
    flags.DEFINE_string("output", None, text, flag_values=values)


def parse_temperature(text):
    """Returns a float, or a tuple of one float for each level."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = (math.nan,)
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise UserError(f"--temperature={text}: expected a number >= 0, or one a level: 1.0,0.9")
    return numbers[0] if len(numbers) == 1 else numbers


def default_name(num_samples, temperature, seed):
    """Returns the name of a picture, such as ``samples_64_t0.9_seed_0.png``."""
    numbers = temperature if isinstance(temperature, tuple) else (temperature,)
    text = "-".join(map(str, numbers))
    if len(numbers) > 8:  # a file name has an end
        text = f"{len(numbers)}x{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return f"samples_{num_samples}_t{text}_seed_{seed}.png"


def run(values):
    """Checks the flags, then samples."""
    run_dir = command.require_run(values.run_dir)
    temperature = parse_temperature(values.temperature)
    name = default_name(values.num_samples, temperature, values.seed)
    output = command.require_output(values.output or os.path.join(run_dir, "images", name))
    runs = command.import_runs()
    runs.sample(
        run_dir=run_dir,
        num_samples=values.num_samples,
        temperature=temperature,
        seed=values.seed,
        output=output,
    )
    print(f"wrote {output}")


main = command.Command("sample", __doc__, define_flags, run).main
