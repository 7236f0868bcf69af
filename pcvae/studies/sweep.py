"""Several finished runs that differ in one knob, as one table and one rate-distortion plot."""

from pathlib import Path

from pcvae import show
from pcvae.files import write_json
from pcvae.runs.records import read_evaluation

COLUMNS = ("rate_nats_per_dim", "rate_bits_per_dim", "distortion_mse", "psnr_db")


def summarise_sweep(*, folder, knob, run_dirs):
    """Writes ``results/sweep.json`` and ``images/sweep.png`` of some runs, and prints the table.

    Args:
        folder: where the sweep is kept.
        knob: what differs from run to run.
        run_dirs: {value of the knob: run directory}.

    Returns:
        A list with one dict for each run: ``knob``, ``value``, ``run_dir``, the rate and the
        distortion of ``results/evaluation.json`` with standard errors, and ``constraints``.
    """
    folder = Path(folder)
    rows = []
    for value, run_dir in run_dirs.items():
        record = read_evaluation(run_dir)
        kept = {key: record[key] for name in COLUMNS for key in (name, f"{name}_stderr")}
        constraints = record.get("constraints", [])
        run = {"knob": knob, "value": value, "run_dir": str(run_dir)}
        rows.append({**run, **kept, "constraints": constraints})
    write_json(rows, folder / "results" / "sweep.json")
    points = [{**row, "decoder": "own", "label": row["value"]} for row in rows]
    picture = folder / "images" / "sweep.png"
    show.save_png(show.rate_distortion_plot({knob: points}), picture)
    print(sweep_table(rows), f"wrote {folder / 'results' / 'sweep.json'}", sep="\n")
    print(f"wrote {picture}", flush=True)
    return rows


def finished_runs_of_sweep(*, folder, knob):
    """Returns {value of the knob: run directory} of the runs of a sweep that are evaluated."""
    found = sorted(Path(folder).glob(f"{knob}=*/results/evaluation.json"))
    return {path.parents[1].name.partition("=")[2]: str(path.parents[1]) for path in found}


def sweep_table(rows):
    """Returns the rows of `summarise_sweep` as a text table with units."""
    head = f"{rows[0]['knob']:>26}  rate (bits/dim)   mse on [-1, 1]    psnr (dB)  constraint"
    lines = [head]
    for row in rows:
        statuses = [constraint["status"] for constraint in row["constraints"]]
        columns = (("rate_bits_per_dim", 15, 5), ("distortion_mse", 15, 5), ("psnr_db", 11, 2))
        numbers = "  ".join(_cell(row[name], width, digits) for name, width, digits in columns)
        lines.append(f"{row['value']:>26}  {numbers}  {', '.join(statuses) or 'none'}")
    return "\n".join(lines)


def _cell(value, width, digits):
    return f"{'not finite' if value is None else format(value, f'.{digits}f'):>{width}}"
