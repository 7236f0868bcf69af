"""Several finished runs that differ in one knob, as one table and one rate-distortion plot."""

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pcvae import show
from pcvae.files import write_json, write_together
from pcvae.quantities import rates_from
from pcvae.runs.run_directory import RunDirectory
from pcvae.tables import number_text
from pcvae.wording import shared_rate_unit

COLUMNS = ("rate_nats_per_dim", "rate_bits_per_dim", "distortion_mse", "psnr_db")


def summarise_sweep(
    *, folder: str | os.PathLike, knob: str, run_dirs: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Writes ``results/sweep.json`` and ``images/sweep.png`` of some runs, and prints the table.

    Args:
        folder: where the sweep is kept.
        knob: what differs from run to run.
        run_dirs: {value of the knob: run directory}.

    Returns:
        A list with one dict for each run: ``knob``, ``value``, ``run_dir``, the rate and the
        distortion of ``results/evaluation.json`` with standard errors, and ``constraints``.
    """
    directory, rows = RunDirectory(folder), []
    for value, run_dir in run_dirs.items():
        record = RunDirectory(run_dir).evaluation()
        kept = {key: record[key] for name in COLUMNS for key in (name, f"{name}_stderr")}
        constraints = record.get("constraints", [])
        run = {"knob": knob, "value": value, "run_dir": str(run_dir)}
        rows.append({**run, **kept, "constraints": constraints})
    points = [{**row, "decoder": "own", "label": row["value"]} for row in rows]
    plot = show.rate_distortion_plot({knob: points}, rate_unit=_rate_unit(rows))
    writers = {
        directory.result("sweep"): functools.partial(write_json, rows),
        directory.image("sweep"): functools.partial(show.save_png, plot),
    }
    write_together(writers)
    print(sweep_table(rows), *(f"wrote {path}" for path in writers), sep="\n", flush=True)
    return rows


def finished_runs_of_sweep(*, folder: str | os.PathLike, knob: str) -> dict[str, str]:
    """Returns {value of the knob: run directory} of the runs of a sweep that are evaluated."""
    runs = map(RunDirectory, sorted(Path(folder).glob(f"{knob}=*")))
    return {
        run.path.name.removeprefix(f"{knob}="): str(run)
        for run in runs
        if run.evaluation_json.exists()
    }


def sweep_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns the rows of `summarise_sweep` as a text table with units."""
    rates = rates_from(_rate_unit(rows))
    names = "  ".join(rate.title.rjust(15) for rate in rates)
    lines = [f"{rows[0]['knob']:>26}  {names}   mse on [-1, 1]    psnr (dB)  constraint"]
    for row in rows:
        statuses = [constraint["status"] for constraint in row["constraints"]]
        columns = [(rate.key, 15, 5) for rate in rates]
        columns += [("distortion_mse", 15, 5), ("psnr_db", 11, 2)]
        numbers = "  ".join(_cell(row[name], width, digits) for name, width, digits in columns)
        lines.append(f"{row['value']:>26}  {numbers}  {', '.join(statuses) or 'none'}")
    return "\n".join(lines)


def _rate_unit(rows):
    return shared_rate_unit(row["constraints"] for row in rows)


def _cell(value, width, digits):
    return number_text(value, digits=digits).rjust(width)
