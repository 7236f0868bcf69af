"""Serves a page to play with a trained model: samples, prefixes, swapped levels.

Usage:
  pcvae-explore --run_dir=runs/quickstart
  pcvae-explore --run_dir=runs/quickstart --port=8000

Open the address that is printed in a browser; Ctrl-C ends it. Only this machine reaches the page,
unless --host says otherwise. It takes Flask: pip install 'pcvae[explore]'.
"""

from absl import flags

from pcvae.checks import check_package
from pcvae.cli import command, shared_flags


def define_flags(values: flags.FlagValues) -> None:
    """Defines the flags of pcvae-explore."""
    shared_flags.define_run(values)
    text = "The address to listen at. Others than the default let other machines use the page."
    flags.DEFINE_string("host", "127.0.0.1", text, flag_values=values)
    text = "The port to listen at; 0 takes a free one."
    flags.DEFINE_integer("port", 7860, text, 0, 65535, flag_values=values)


def run(values: flags.FlagValues) -> None:
    """Checks the flags, then serves until a signal comes."""
    run_dir = command.require_run(values.run_dir)
    check_package("flask", "explore", "the page")
    command.import_runs().explore(
        run_dir=run_dir,
        host=values.host,
        port=values.port,
        **shared_flags.fallback_argument(values),
    )


main = command.Command("explore", __doc__, define_flags, run).main

if __name__ == "__main__":
    raise SystemExit(main())
