"""Configuration by gin: flags and files in, arguments of one root function out.

The library itself is plain Python and knows nothing of gin. A command registers its root function,
reads gin files and ``--gin.NAME=VALUE`` flags, and calls the root; gin supplies the arguments. This
package and ``pcvae.cli`` are the only importers of gin.
"""

from pcvae.gin_utils.arguments import binding, rewrite_gin_args
from pcvae.gin_utils.configuration import (
    Configuration,
    UnsetMacroError,
    UnusedMacroError,
    parse,
)
from pcvae.gin_utils.lookup import nearest
from pcvae.gin_utils.reader import check_files, shipped_gin_folder
from pcvae.gin_utils.run_directory import check_run_dir

__all__ = [
    "Configuration",
    "UnsetMacroError",
    "UnusedMacroError",
    "binding",
    "check_files",
    "check_run_dir",
    "nearest",
    "parse",
    "rewrite_gin_args",
    "shipped_gin_folder",
]
