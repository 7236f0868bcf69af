"""Several evaluated runs side by side: one table, one rate-distortion plot, one page."""

import functools
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pcvae import show
from pcvae.files import printable, write_json, write_together
from pcvae.quantities import QUANTITIES, measured
from pcvae.runs.report import (
    curve_figures,
    curve_or_point,
    health_of,
    protocol_of,
    rate_distortion_figures,
)
from pcvae.runs.run_directory import RunDirectory, images_of
from pcvae.tables import text_table
from pcvae.wording import shared_rate_unit

# What has to agree for the numbers of two runs to be compared.
_SETTINGS = ("data", "split", "num_images", "weights", "step", "importance_samples", "image_shape")


def compare(
    *, run_dirs: Sequence[str | os.PathLike], output: str | os.PathLike
) -> list[dict[str, Any]]:
    """Compares evaluated runs: prints a table, and writes a page, the records and a plot.

    Args:
        run_dirs: run directories that are evaluated.
        output: the folder that gets ``comparison.html``, ``comparison.json`` and
            ``rate_distortion.png``.

    Returns:
        What ``comparison.json`` holds: a list of dict with ``label``, ``run_dir`` and
        ``evaluation``, the record of the run.

    Raises:
        UserError: a run is damaged, or not evaluated.
    """
    labels = labels_of(run_dirs)
    folders = dict(zip(labels, map(RunDirectory, run_dirs), strict=True))
    records = {label: folder.evaluation() for label, folder in folders.items()}
    table = comparison_rows(records)
    remarks = [*differences(records), *reasons(records)]
    curves = {label: curve_or_point(folders[label], records[label]) for label in labels}
    histories = {label: {"train": folder.scalars("train")} for label, folder in folders.items()}
    entries = [
        {"label": label, "run_dir": str(folders[label]), "evaluation": records[label]}
        for label in labels
    ]
    runs = [
        {
            "label": label,
            "findings": health_of(folders[label], records[label]),
            "protocol": {
                "run_dir": str(folders[label]),
                "steps": folders[label].run().get("steps", "unknown"),
                **protocol_of(records[label]),
            },
        }
        for label in labels
    ]
    shared = [folder.run().get("constraints", []) for folder in folders.values()]
    output, rate_unit = Path(output), shared_rate_unit(shared)
    page = functools.partial(
        show.write_page,
        "comparison.html",
        title=f"{len(labels)} runs",
        remarks=remarks,
        runs=runs,
        table=table,
        plots=rate_distortion_figures(curves, rate_unit),
        curves=curve_figures(histories, shared[0] if len(set(map(str, shared))) == 1 else []),
    )
    picture = show.rate_distortion_plot(curves, rate_unit=rate_unit)
    plot = functools.partial(show.save_png, picture)
    record = functools.partial(write_json, entries)
    names = ("comparison.html", "comparison.json", "rate_distortion.png")
    paths = [output / name for name in names]
    write_together(dict(zip(paths, (page, record, plot), strict=True)))
    header = ("quantity", "unit", *labels)
    rows = [header, *((row["name"], row["unit"], *row["texts"]) for row in table)]
    print(text_table(rows, left=(0, 1)), *remarks, sep="\n")
    print(*(f"wrote {path}" for path in paths), sep="\n", flush=True)
    return entries


def labels_of(run_dirs: Sequence[str | os.PathLike]) -> list[str]:
    """Returns a name for each run: the end of its path, as long as it takes to be its own."""
    parts = [Path(run_dir).resolve().parts for run_dir in run_dirs]
    labels = []
    for own in parts:
        others = [other for other in parts if other != own]
        length = 1
        while any(other[-length:] == own[-length:] for other in others):
            length += 1
        labels.append(printable(Path(*own[-length:])))
    return labels


def comparison_rows(records: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the rows of the table: ``name``, ``unit`` and one text for each run.

    Args:
        records: {label: evaluation}. What one of them lacks is a dash.
    """
    numbers = [
        {item.quantity: item.text for item in measured(record)} for record in records.values()
    ]
    rows = [
        {
            "name": quantity.name,
            "unit": quantity.unit,
            "texts": [texts.get(quantity, "-") for texts in numbers],
        }
        for quantity in dict.fromkeys([*QUANTITIES, *itertools.chain(*numbers)])
        if any(quantity in texts for texts in numbers)
    ]
    if any(record.get("constraints") for record in records.values()):
        statuses = [
            ", ".join(constraint["status"] for constraint in record.get("constraints", ())) or "-"
            for record in records.values()
        ]
        rows.append({"name": "constraints", "unit": "", "texts": statuses})
    return rows


def reasons(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns a line for each number that a run has not, and says why."""
    return [
        f"There is no {item.quantity.name} of {label}: {item.reason}."
        for label, record in records.items()
        for item in measured(record)
        if item.value is None and item.reason
    ]


def differences(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns a line for each setting in which evaluations differ, so that numbers do, too."""
    lines = []
    for name in _SETTINGS:
        values = {label: _setting(record, name) for label, record in records.items()}
        if name in _MAY_BE_MISSING:
            values = {label: value for label, value in values.items() if value != UNKNOWN}
        if len({str(value) for value in values.values()}) > 1:
            text = "; ".join(f"{label}: {_text(value)}" for label, value in values.items())
            lines.append(f"The runs were evaluated {_NAMES[name]} ({text}).")
    return lines + _protocol_differences(records)


def _protocol_differences(records):
    """Returns a line for each entry in which protocols differ, such as those of Frechet distances.

    A run without a number has no protocol of it, and does not differ.
    """
    lines = []
    for name in dict.fromkeys(
        name for record in records.values() for name in record if name.endswith("_protocol")
    ):
        protocols = {
            label: dict(show.settings(record[name]))
            for label, record in records.items()
            if isinstance(record.get(name), dict)
        }
        entries = dict.fromkeys(key for protocol in protocols.values() for key in protocol)
        for entry in (entry for entry in entries if entry not in _CONSEQUENCES):
            values = {label: protocol.get(entry, "none") for label, protocol in protocols.items()}
            if len(set(values.values())) > 1:
                text = "; ".join(f"{label}: {value}" for label, value in values.items())
                lines.append(f"The runs differ in {name}, {entry} ({text}).")
    return lines


# What follows from other entries of a protocol.
_CONSEQUENCES = {"validity", "num_features"}
UNKNOWN = "unknown"
# No number hangs on the first where it is missing, and older records leave the second to the model.
_MAY_BE_MISSING = ("importance_samples", "image_shape")
_NAMES = {
    "data": "on different data",
    "split": "on different splits",
    "num_images": "on different numbers of images",
    "weights": "with different kinds of weights",
    "step": "after different numbers of steps",
    "importance_samples": "on different numbers of importance samples",
    "image_shape": "on different image shapes, so that a dimension is not the same",
}


def _setting(record, name):
    """Returns what a record says, and what it does not say: older ones lack some settings."""
    value = record.get(name, UNKNOWN)
    return images_of(value) if name == "data" and isinstance(value, dict) else value


def _text(value):
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)
