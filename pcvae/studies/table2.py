"""Table 2 of the paper: two stages against the same model trained end to end (section 5)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pcvae import measure, models, show, training
from pcvae.errors import UserError
from pcvae.files import write_json
from pcvae.runs.frechet import frechet
from pcvae.runs.load import load
from pcvae.runs.run_directory import RunDirectory, read_json
from pcvae.runs.run_pictures import NUM_IMAGES_SHOWN, chosen
from pcvae.studies.table_files import write_table

METRICS = ("frechet_distance", "kernel_distance")
# What the table calls a number, its key in the record, and its form.
_COLUMNS = (
    ("dataset", "dataset", ""),
    ("target D", "distortion_target_mse", ".4g"),
    ("D_1", "stage1_distortion_mse", ".5f"),
    ("R_1", "stage1_rate_nats_per_dim", ".5f"),
    ("bits/dim", "negative_elbo_bits_per_dim", ".4f"),
    ("base b/d", "baseline_negative_elbo_bits_per_dim", ".4f"),
    ("FD", "frechet_distance", ".4g"),
    ("base FD", "baseline_frechet_distance", ".4g"),
    ("KD", "kernel_distance", ".4g"),
    ("base KD", "baseline_kernel_distance", ".4g"),
    ("parameters", "num_parameters", ","),
    ("seed", "seed", ""),
)


def measure_samples(
    *, run_dir: str | os.PathLike, num_samples: int, extractor: Any, seed: int
) -> dict[str, Any]:
    """Returns the Frechet record of a run, from ``results/frechet.json`` if it was measured before.

    Args:
        run_dir: a directory that `train` left.
        num_samples: how many samples, and at most how many images of the train split.
        extractor: see `runs.find_extractor.find_extractor`.
        seed: integer, of the samples.

    Returns:
        See `runs.frechet.frechet_record`.
    """
    directory = RunDirectory(run_dir)
    asked = {
        "num_samples": num_samples,
        "extractor": str(extractor),
        "seed": seed,
        "checkpoint": Path(training.newest(directory.checkpoints)).name,
    }
    path = directory.result("frechet")
    if path.exists():
        known = read_json(path, "the record of a measurement of samples")
        if known.get("asked") == asked:
            return known
    record = frechet(run_dir=run_dir, num_samples=num_samples, extractor=extractor, seed=seed)
    write_json({"asked": asked, **record}, path)
    return {"asked": asked, **record}


def check_parameters(
    composition: models.HierarchicalModel, baseline: models.HierarchicalModel
) -> int:
    """Returns the number of parameters of the two models that the table compares.

    Raises:
        UserError: they differ.
    """
    composed, end_to_end = composition.count_params(), baseline.count_params()
    if composed != end_to_end:
        raise UserError(
            f"stages 1 and 2 together have {composed:,} parameters, the baseline {end_to_end:,}: "
            "give all runs the same sizes, heads and numbers of levels"
        )
    return end_to_end


def summarise_table2(
    *,
    folder: str | os.PathLike,
    dataset: str,
    run_dirs: Mapping[int, Mapping[str, Any]],
    num_samples: int,
    extractor: Any,
) -> dict[str, Any]:
    """Measures finished runs, writes and prints the table, its pictures as PNG and TensorBoard.

    Args:
        folder: where ``results/table2.json`` and the pictures go.
        dataset: name in the table.
        run_dirs: {seed: {"baseline": run directory, "stages": {target: {"stage1": run directory,
            "stage2": run directory}}}}.
        num_samples: see `measure_samples`.
        extractor: see `measure_samples`.

    Returns:
        The record that is written: ``rows``, one for each seed and target, and ``summary``.

    Raises:
        UserError: the composition and the baseline differ in their parameters.
    """
    rows, pictures = [], {}
    for seed, places in run_dirs.items():
        measured = {"num_samples": num_samples, "extractor": extractor, "seed": int(seed)}
        composed = {target: load(place["stage2"]) for target, place in places["stages"].items()}
        loaded = {"baseline": load(places["baseline"]), "stages": composed}
        baseline = measure_samples(run_dir=places["baseline"], **measured)
        for target, stages in places["stages"].items():
            own = measure_samples(run_dir=stages["stage2"], **measured)
            row = _row(dataset, seed, target, places["baseline"], stages, loaded)
            for name in METRICS:
                row[name], row[f"baseline_{name}"] = own[name], baseline[name]
            rows.append({**row, "frechet_protocol": own["frechet_protocol"]})
        pictures[f"samples_seed_{seed}"] = _samples(places["baseline"], loaded, int(seed))
    record = {"rows": rows, "summary": _summary(rows)}
    pictures["table2"] = show.frechet_plot(rows)
    write_table(folder, "table2", record, table2_text(record), pictures)
    return record


def _row(dataset, seed, target, baseline_dir, stages, loaded):
    """Returns one row of the table, without the distances of samples.

    ``loaded`` holds the models: "baseline", and "stages" by target.
    """
    first, second = (RunDirectory(stages[name]).evaluation() for name in ("stage1", "stage2"))
    baseline = RunDirectory(baseline_dir).evaluation()
    num_parameters = check_parameters(loaded["stages"][target], loaded["baseline"])
    names = {"stage1": stages["stage1"], "stage2": stages["stage2"], "baseline": baseline_dir}
    (constraint,) = first["constraints"]
    return {
        "dataset": dataset,
        "seed": int(seed),
        "distortion_target_mse": float(target),
        "stage1_distortion_mse": first["distortion_mse"],
        "stage1_distortion_mse_stderr": first["distortion_mse_stderr"],
        "stage1_rate_nats_per_dim": first["rate_nats_per_dim"],
        "stage1_constraint": constraint["status"],
        "frozen_weights_sha256_before": second["frozen_weights_sha256_before"],
        "frozen_weights_sha256_after": second["frozen_weights_sha256_after"],
        "negative_elbo_bits_per_dim": second["negative_elbo_bits_per_dim"],
        "baseline_negative_elbo_bits_per_dim": baseline["negative_elbo_bits_per_dim"],
        "baseline_stage1_rate_nats_per_dim": _rate_of_first_stage(loaded["baseline"], baseline),
        "num_parameters": num_parameters,
        "steps": {name: RunDirectory(place).run()["steps"] for name, place in names.items()},
    }


def _rate_of_first_stage(model, record):
    """Returns the rate of the first stage of a model that is evaluated, nats per dimension."""
    rates = record["rate_nats_per_level"][: model.stage_ends[0]]
    return sum(rates) / float(np.prod(model.image_shape))


def table2_text(record: Mapping[str, Any]) -> str:
    """Returns the table as text."""
    lines = [
        "target D and D_1: mse of stage 1 on [-1, 1]; R_1: its rate in nats/dim; bits/dim: "
        "negative ELBO; FD, KD: Frechet and kernel distance of samples; base: trained end to end",
        " ".join(f"{name:>10}" for name, _, _ in _COLUMNS),
    ]
    for row in record["rows"]:
        cells = (format(row[key], form) for _, key, form in _COLUMNS)
        lines.append(" ".join(f"{cell:>10}" for cell in cells))
    for item in record["summary"]:
        error = item["frechet_ratio_stderr"]
        lines.append(
            f"target {item['distortion_target_mse']:.4g}: FD of the stages / FD of the baseline "
            f"{item['frechet_ratio']:.3f}"
            + ("" if error is None else f" +- {error:.3f}")
            + f" ({item['num_seeds']} {'seed' if item['num_seeds'] == 1 else 'seeds'}; below 1: "
            "the progressive model has the better samples)"
        )
    return "\n".join(lines)


def _summary(rows):
    """Returns one dict for each target: the mean ratio of Frechet distances and its error."""
    items = []
    for target in sorted({row["distortion_target_mse"] for row in rows}):
        own = [row for row in rows if row["distortion_target_mse"] == target]
        ratios = [row["frechet_distance"] / row["baseline_frechet_distance"] for row in own]
        mean = measure.mean_with_error("frechet_ratio", np.array(ratios))
        items.append({"distortion_target_mse": target, "num_seeds": len(own), **mean})
    return items


def _samples(baseline_dir, loaded, seed):
    """Shows images of the data, then samples: stage 1, after stage 2, baseline.

    A column of one target is one sample: stage 2 is given the image above it.
    """
    count, baseline = 2 * NUM_IMAGES_SHOWN, loaded["baseline"]
    images = RunDirectory(baseline_dir).dataset(baseline.image_shape).images("test")
    rows = [(f"data\n(seed {seed})", chosen(images, count, seed))]
    for target, model in loaded["stages"].items():
        rows.append((f"stage 1\nmse {target}", model.stages[0].sample(count, seed=seed)))
        rows.append((f"after stage 2\nmse {target}", model.sample(count, seed=seed)))
    return show.labelled_rows([*rows, ("baseline", baseline.sample(count, seed=seed))])
