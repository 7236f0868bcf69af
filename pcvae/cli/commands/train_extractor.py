"""Trains an in-domain feature extractor: a small network that says what drawn pictures show.

Usage:
  pcvae-train-extractor
  pcvae-train-extractor --image_size=32
  pcvae-train-extractor --kind=structure
  pcvae-train-extractor --image_size=16 --seed=1 --output=extractor.keras

It stands in for a published network where there is none at hand, and its name stands in every
result: --extractor=synthetic of pcvae-evaluate. The other one, structure, is blind to texture, blur
and noise, and says which pictures are legible. They learn from street numbers that the program
draws, none of them in a data set. Two cores take about a minute for 16x16 or 32x32, and two or
three for structure. Equal seeds give equal weights, bit by bit, on the same kind of processor.
"""

from absl import flags

from pcvae.cli import command, shared_flags
from pcvae.sources import EXTRACTORS


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-train-extractor."""
    text = "Which one: synthetic, or structure, which is blind to texture, blur and noise."
    flags.DEFINE_enum("kind", EXTRACTORS[0], EXTRACTORS, text, flag_values=values)
    text = "Side of the pictures; beyond 32 the training takes longer."
    flags.DEFINE_integer("image_size", 16, text, 16, 256, flag_values=values)
    shared_flags.define(values, "seed", "Of the weights and the order.")
    text = (
        "FILE.keras, replaced if it is there (default: the cache, where pcvae-evaluate finds the "
        "one of seed 0)."
    )
    shared_flags.define(values, "output", text)


def run(values: flags.FlagValues) -> None:
    """Checks the flags, then trains."""
    if values.output is not None:
        command.require_output(values.output, (".keras",))
    runs = command.import_runs()
    runs.train_extractor(
        image_size=values.image_size,
        seed=values.seed,
        output=values.output,
        extractor=values.kind,
    )


main = command.Command("train_extractor", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
