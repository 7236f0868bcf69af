"""The files of a table of the paper: JSON, pictures as PNG and in TensorBoard, the table itself."""

import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from pcvae import show, training
from pcvae.files import write_json, write_together
from pcvae.runs.run_directory import RunDirectory


def write_table(
    folder: str | os.PathLike,
    name: str,
    record: Mapping[str, Any],
    text: str,
    pictures: Mapping[str, np.ndarray],
) -> None:
    """Writes a table and its pictures, and prints the table and the paths.

    Args:
        folder: what gets ``results``, ``images`` and ``summaries``.
        name: of the table, such as "table1".
        record: what ``results/NAME.json`` holds; its ``rows`` are the step in TensorBoard.
        text: the table as text.
        pictures: {name: uint8 [height, width, 3]}.
    """
    directory = RunDirectory(folder)
    writers = {directory.result(name): functools.partial(write_json, record)}
    for title, picture in pictures.items():
        writers[directory.image(title)] = functools.partial(show.save_png, picture)
    write_together(writers)
    print(text, *(f"wrote {path}" for path in writers), sep="\n", flush=True)
    log = training.ScalarLog(directory.summaries, name)
    for title, picture in pictures.items():
        log.images(len(record["rows"]), f"images/{title}", picture)
    log.close()
