"""The former place of `pcvae.cli.commands`: scripts installed then, and imports, go on."""

from pcvae.cli import commands

__path__ = commands.__path__
