"""What lies where in a run directory, and what its records hold."""

import hashlib
import inspect
import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pcvae import data, locks
from pcvae.errors import UserError
from pcvae.files import INFINITY, printable
from pcvae.models.recorded import read_record
from pcvae.quantities import DISTORTION, PSNR
from pcvae.runs.record_checks import fault_of_curve, fault_of_evaluation, fault_of_run
from pcvae.training import summaries


class RunDirectory:
    """The places and the records of a run directory. Nothing is made, nothing has to be there.

    The fit of decoders to prefixes in ``prefix_decoders/`` has the places of a run, and
    ``fit.json``; so have the folders of tables and sweeps, which hold runs.

    Args:
        path: the directory; of another `RunDirectory` the lock is taken over, too.
        lock: its lock, where this process holds it to write there; see `one_writer`.

    Raises:
        UserError: the path is none.
    """

    def __init__(self, path: str | os.PathLike, lock: locks.Lock | None = None) -> None:
        if not isinstance(path, str | os.PathLike):
            raise UserError(f"run_dir: expected the path of a run directory, got {path!r}")
        self._lock = path._lock if isinstance(path, RunDirectory) else lock
        self.path = path = Path(path)
        self.config_gin = path / "config.gin"
        self.operative_config_gin = path / "operative_config.gin"
        self.model_json = path / "model.json"
        self.run_json = path / "run.json"
        self.fit_json = path / "fit.json"
        self.report_html = path / "report.html"
        self.checkpoints = path / "checkpoints"
        self.frozen = path / "frozen"
        self.summaries = path / "summaries"
        self.results = path / "results"
        self.images = path / "images"
        self.evaluation_json = self.result("evaluation")
        self.curve_json = self.result("rate_distortion")

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def check_still_there(self) -> None:
        """Raises UserError if this process writes into it, and it was deleted or is another's."""
        if self._lock is not None:
            self._lock.check()

    @property
    def label(self) -> str:
        """The name of the folder, which tables and plots show."""
        return printable(self.path.resolve().name)

    @property
    def prefix_decoders(self) -> "RunDirectory":
        """The directory of the fit of decoders to prefixes."""
        return RunDirectory(self.path / "prefix_decoders")

    def result(self, name: str) -> Path:
        """Returns the path of ``results/NAME.json``."""
        return self.results / f"{name}.json"

    def image(self, name: str) -> Path:
        """Returns the path of ``images/NAME.png``."""
        return self.images / f"{name}.png"

    def run(self) -> dict[str, Any]:
        """Returns the record ``run.json``.

        Raises:
            UserError: it is missing, no JSON, or lacks a field.
        """
        return read_json(self.run_json, "the record of a run", fault_of_run)

    def evaluation(self) -> dict[str, Any]:
        """Returns the record ``results/evaluation.json``; raises UserError as `run` does."""
        remedy = f"evaluate the run, pcvae-evaluate --run_dir={self}"
        what = "the record of an evaluation"
        return read_json(self.evaluation_json, what, fault_of_evaluation, remedy)

    def curve(self) -> list[dict[str, Any]]:
        """Returns the rows of ``results/rate_distortion.json``; raises UserError as `run` does."""
        remedy = f"measure it, pcvae-rate-distortion --run_dir={self}"
        return read_json(self.curve_json, "a rate-distortion curve", fault_of_curve, remedy)

    def curve_if_measured(self) -> list[dict[str, Any]]:
        """Returns the rows of the curve; [] if it was not measured."""
        return self.curve() if self.curve_json.exists() else []

    def scalars(self, name: str) -> list[dict[str, Any]]:
        """Returns the scalars that the run has logged, a list of dict; [] if it kept none.

        Args:
            name: of the log, "train" or "eval".
        """
        path = self.summaries / f"{name}.jsonl"
        return summaries.read_scalar_lines(path) if path.exists() else []

    def free_bits_nats_per_level(self) -> float:
        """Returns the free bits of the run's objective; 0 where there are none."""
        return self.run().get("free_bits_nats_per_level", 0.0)

    def has_data(self, origin: Mapping[str, Any] | None) -> bool:
        """Says whether images are of the data of the run, at whatever size and in whatever cache.

        Args:
            origin: of the dataset, such as ``data`` of an evaluation; None for the run's own.
        """
        if origin is None:
            return True
        own = self.run()["data"]
        return own is None or images_of(origin) == images_of(own)

    def suffix(self, split: str, num_images: int | None, origin: Mapping[str, Any] | None) -> str:
        """Returns how files are named that hold results on some images: ``_train_64_images``.

        Args:
            split: of the dataset.
            num_images: how many images; None for all.
            origin: of the dataset.

        Returns:
            An empty string for what the results of a run are measured on: all images of the test
            split of its own data. A quick look at others gets files of its own.
        """
        parts = [] if num_images is None else [f"{num_images}_images"]
        if not self.has_data(origin):
            kind, _, place = str(origin["spec"]).partition(":")
            name = re.sub(r"[^A-Za-z0-9]+", "-", f"{kind} {Path(place).stem}").strip("-")
            text = json.dumps(images_of(origin), sort_keys=True)
            parts.append(f"{name}_{hashlib.sha256(text.encode()).hexdigest()[:8]}")
        if not parts and split == "test":
            return ""
        return "".join(f"_{part}" for part in (split, *parts))

    def dataset(self, image_shape: Sequence[int], spec: str | None = None) -> data.ImageDataset:
        """Returns the dataset of the run, or another one at the run's image size.

        Args:
            image_shape: (height, width, channels) that the run's model takes.
            spec: the other dataset, as `data.from_spec` takes it, or None.

        Raises:
            UserError: the run names no dataset, or it has images of another shape.
        """
        origin = (
            self.run()["data"] if spec is None else {"spec": spec, "image_size": image_shape[0]}
        )
        if origin is None:
            raise UserError("the run names no dataset: say which with --data=SPEC")
        known = inspect.signature(data.from_spec).parameters
        if not isinstance(origin, dict) or "spec" not in origin or origin.keys() - known.keys():
            raise UserError(
                f"run.json: expected under data the arguments of data.from_spec, "
                f"{', '.join(known)}; got {origin!r}"
            )
        dataset = data.from_spec(**origin)
        if dataset.image_shape != tuple(image_shape):
            raise UserError(
                f"{dataset.name} has images of shape {dataset.image_shape}, the run's model takes "
                f"{tuple(image_shape)}"
            )
        return dataset


def images_of(origin: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of the origin of a dataset that says which images it holds."""
    spec = data.lasting_spec(origin.get("spec"))
    found = {**data.named_options(spec), **origin}
    spec = "synthetic" if spec.startswith("synthetic:") else spec  # the rest are options
    return {
        **{name: item for name, item in found.items() if name not in ("image_size", "cache_dir")},
        "spec": spec,
    }


def with_infinite_psnr(content: Any) -> Any:
    """Returns a record, or a list of them, with infinity for what the file says of it.

    Records of older versions say nothing, null, where a finite error has no finite PSNR.
    """
    if isinstance(content, list):
        return [with_infinite_psnr(item) for item in content]
    if not isinstance(content, dict) or PSNR.key not in content:
        return content
    told, error = content[PSNR.key], content.get(DISTORTION.key)
    exact = told == INFINITY or (told is None and isinstance(error, int | float))
    return {**content, PSNR.key: math.inf} if exact else content


def read_run(run_dir: str | os.PathLike) -> dict[str, Any]:
    """Returns the record ``run.json`` of a run directory; see `RunDirectory.run`."""
    return RunDirectory(run_dir).run()


def read_json(
    path: Path,
    what: str,
    fault_of: Callable[[Any], str | None] | None = None,
    remedy: str | None = None,
) -> Any:
    """Returns what a JSON file of a run directory holds.

    Args:
        path: the file.
        what: what it should be, in words.
        fault_of: a function that returns what is wrong with the content, in words, or None.
        remedy: what makes the file, or makes it anew, in words.

    Raises:
        UserError: which says what was expected; the file is missing, no JSON, or has a fault.
    """
    try:
        content = with_infinite_psnr(read_record(path))
        fault = fault_of(content) if fault_of else None
    except FileNotFoundError:
        fault = "none"
    except OSError as error:
        fault = error.strerror or str(error)
    except ValueError as error:
        fault = f"no JSON ({error})"
    if fault:
        end = f": {remedy}" if remedy else ""
        raise UserError(f"{path}: expected {what}, got {fault}{end}")
    return content
