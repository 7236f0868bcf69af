"""Lists the models, their gin files and the experiments that come with pcvae.

Usage:
  pcvae-zoo
  pcvae-zoo --expected

Each line says what a thing is; docs/zoo.md has the equations, and what each model has reached.
"""

import textwrap

from absl import flags

from pcvae import gin_utils
from pcvae.cli import command, listing


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-zoo."""
    text = "Print the expected result and time of each experiment, too."
    flags.DEFINE_bool("expected", False, text, flag_values=values)


def run(values: flags.FlagValues) -> None:
    """Prints the lists; imports no model."""
    print("Models (pcvae.models):")
    for name, summary in listing.model_summaries().items():
        print(f"  {name:18} {summary}")
    shipped = gin_utils.shipped_gin_folder()
    for room, title in (
        ("models", "Model files (--gin_file=...)"),
        ("cells", "Other cells for the small models (a second --gin_file=...)"),
        ("objectives", "Objectives"),
        ("experiments", "Experiments (pcvae train --gin_file=...)"),
    ):
        print(f"\n{title}:")
        for path in sorted((shipped / room).glob("*.gin")):
            header = listing.header_of(path)
            print(f"  {room}/{path.name:34} {header.summary}")
            if values.expected and header.expected:
                print(textwrap.indent(textwrap.fill(header.expected, 96), "      "))


main = command.Command("zoo", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
