"""What a run writes down: TensorBoard scalars, images and text, and the scalars as JSON lines."""

import contextlib
import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from pcvae.checks import is_number_or_none
from pcvae.errors import UserError
from pcvae.files import plain_path, read_text, told_when_full, write_text


class ScalarLog:
    """The summaries of one part of a run, such as "train" or "eval".

    Events go to ``folder/name/``; the scalars also to ``folder/name.jsonl``, one JSON object a
    step: ``{"step": 100, "nll/bits_per_dim": 3.2, ...}``. A value that is not finite is ``null``
    there. Every line is on disk when ``scalars`` returns.

    On resuming at a step, what an interrupted run wrote after that step is dropped from the lines,
    and TensorBoard is told to drop it too, so that no step stands twice.
    """

    def __init__(
        self, folder: str | os.PathLike, name: str, resume_step: int = 0, chief: bool = True
    ) -> None:
        """Opens the log.

        Args:
            folder: the summaries folder of the run.
            name: "train" or "eval".
            resume_step: number of steps taken when this process begins; lines after it are dropped.
            chief: whether this process writes (``training.is_chief``); if not, nothing is written.

        Raises:
            UserError: the lines of the run so far cannot be read.
        """
        self._lines = None
        self._path = os.path.join(os.fspath(folder), f"{name}.jsonl")
        self._directory = directory = os.path.join(os.fspath(folder), name)
        records = read_scalar_lines(self._path) if os.path.exists(self._path) else []
        kept = [record for record in records if record["step"] <= resume_step]
        self._last = kept[-1] if kept else {}
        if not chief:
            return
        with told_when_full(directory):
            os.makedirs(directory, exist_ok=True)
        self._rewrite(kept)
        # TensorFlow looks for its file by the path at each flush: the path stays until `close`.
        self._path_of_events = contextlib.ExitStack()
        directory = self._path_of_events.enter_context(plain_path(directory))
        with told_when_full(self._directory):
            _write_session_start(directory, resume_step + 1)
            self._writer = tf.summary.create_file_writer(directory)

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Writes scalars.

        Args:
            step: int, not before the last one written; a second call at one step adds to it.
            values: dict tag -> number or scalar tensor.
        """
        if self._lines is None:
            return
        step = int(step)
        if step < self._last.get("step", 0):
            raise ValueError(f"step {step} comes after step {self._last['step']}")
        numbers = {tag: float(value) for tag, value in values.items()}
        with self._writing(step):
            for tag, number in numbers.items():
                tf.summary.scalar(tag, number)
        record = {tag: x if math.isfinite(x) else None for tag, x in numbers.items()}
        if step == self._last.get("step"):
            records = read_scalar_lines(self._path)
            self._rewrite([*records[:-1], {**self._last, **record}])
        else:
            self._append({"step": step, **record})

    def has(self, step: int) -> bool:
        """Says whether scalars of a step, or of a later one, are written.

        Of several workers, those that do not write say what they found at the start.
        """
        return self._last.get("step", 0) >= step

    def images(self, step: int, tag: str, images: np.ndarray) -> None:
        """Writes uint8 pictures [height, width, channels] or [count, height, width, channels].

        Channels are 1 (grey), 3 (RGB) or 4 (RGBA).
        """
        if self._lines is None:
            return
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            raise ValueError(
                "expected uint8 [height, width, channels] or [count, height, width, channels], got"
                f" {images.dtype} {list(images.shape)}"
            )
        if images.ndim == 3:
            images = images[None]
        with self._writing(int(step)):
            tf.summary.image(tag, images, max_outputs=len(images))

    def text(self, step: int, tag: str, text: str) -> None:
        """Writes a text, which TensorBoard shows as Markdown."""
        if self._lines is None:
            return
        with self._writing(int(step)):
            tf.summary.text(tag, text)

    def flush(self) -> None:
        """Puts everything on disk."""
        if self._lines is not None:
            with told_when_full(self._directory):
                self._writer.flush()

    def close(self) -> None:
        """Closes the files."""
        if self._lines is None:
            return
        try:
            with told_when_full(self._directory):
                self._writer.close()
        finally:
            self._path_of_events.close()
            lines, self._lines = self._lines, None
            with told_when_full(self._path):  # what did not fit is tried again
                lines.close()

    @contextlib.contextmanager
    def _writing(self, step):
        with told_when_full(self._directory), self._writer.as_default(step=step):
            yield

    def _rewrite(self, records):
        """Replaces the file of lines, in one go, and leaves it open for more."""
        if self._lines is not None:
            self._lines.close()
        write_text("".join(map(_line, records)), self._path)
        self._lines = open(self._path, "a", encoding="utf-8")  # noqa: SIM115 - until close()
        self._last = records[-1] if records else {}

    def _append(self, record):
        with told_when_full(self._path):
            self._lines.write(_line(record))
            self._lines.flush()
        self._last = record


def read_scalar_lines(path: str | os.PathLike) -> list[dict[str, Any]]:
    """Reads the scalars of a run.

    Args:
        path: a file such as ``summaries/train.jsonl``.

    Returns:
        list of dict, each with "step" and tag -> float or None (not finite), in order of step. A
        last line that an interrupted run left unfinished is left out.

    Raises:
        UserError: a line is not a JSON object of numbers with a step.
    """
    lines = read_text(path, errors="replace").split("\n")
    records = []
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline is torn
        try:
            record = json.loads(line)
            if not all(map(is_number_or_none, record.values())):
                raise ValueError(line)
            records.append({**record, "step": int(record["step"])})
        # A list has no values, and a nesting may have no end.
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise UserError(
                f"{path}: line {number} is not a JSON object of numbers with a 'step'; remove the "
                "line"
            ) from error
    return records


def _line(record):
    return json.dumps(record, allow_nan=False) + "\n"


def _write_session_start(directory, step):
    """Writes the event at which TensorBoard drops what it has read of this step and later ones.

    It does so from the second start on, so the first one has to be there too.
    """
    writer = EventFileWriter(directory, filename_suffix=".start")
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    writer.add_event(event_pb2.Event(step=step, session_log=start))
    writer.close()
