"""What the environment of a command may not change: neither its results nor whether it runs."""

import os
import sys

from pcvae.cli import streams

# Read by libraries at their import. The null device stands for "no settings of the user's": Keras
# and Matplotlib find an empty configuration there, and write none.
_SETTINGS = {
    "keras": {"KERAS_HOME": os.devnull},
    "matplotlib": {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull},
}


def prepare(is_process: bool = False) -> None:
    """Makes a process fit for a command, before anything slow is imported.

    Args:
        is_process: whether the process is the command's own.
    """
    streams.open_closed_descriptors()
    streams.escape_what_cannot_be_written()
    if is_process:
        streams.outlast_failures()
    for library, settings in _SETTINGS.items():
        if library not in sys.modules:
            os.environ.update(settings)
