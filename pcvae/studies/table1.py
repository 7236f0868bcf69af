"""Table 1 and figure 1 of the paper, from runs that are finished (section 4)."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pcvae import measure, models, show
from pcvae.errors import UserError
from pcvae.runs.fit_prefix_decoders import load_prefix_decoders
from pcvae.runs.load import load
from pcvae.runs.run_directory import RunDirectory
from pcvae.runs.run_pictures import NUM_IMAGES_SHOWN, chosen
from pcvae.studies.table_files import write_table
from pcvae.wording import NATS

MAX_RATE_GAP = 0.03  # |R* - R_K| / R_K beyond which a row says so


def measured_rate_nats_per_dim(*, run_dir: str | os.PathLike, prefix: int | str) -> float:
    """Returns R_K of a run, as ``results/rate_distortion.json`` has it.

    Raises:
        UserError: the prefix carries no rate, or one that is not finite.
    """
    rate = _refit_row(run_dir, prefix)["rate_nats_per_dim"]
    if rate is None or not rate > 0.0:
        raise UserError(
            f"{run_dir}: the prefix {prefix} carries no rate that could be a target ({rate} "
            f"nats/dim): {measure.TRAIN_LONGER}, or take a longer prefix"
        )
    return rate


def check_prefix(model_fn: Callable, image_shape: Sequence[int], prefix: int | str) -> None:
    """Raises UserError unless a model has a prefix, such as "4x4"; see `models.prefixes_of`."""
    models.prefixes_of(model_fn(image_shape=image_shape), [prefix])


def summarise_table1(
    *,
    folder: str | os.PathLike,
    dataset: str,
    prefix: int | str,
    run_dirs: Mapping[int, Mapping[str, Any]],
    seed_of_pictures: int = 0,
) -> dict[str, Any]:
    """Writes and prints the table of finished runs; its pictures as PNG and for TensorBoard.

    Args:
        folder: where ``results/table1.json`` and the pictures go.
        dataset: name in the table.
        prefix: K, as a resolution such as "4x4" or a number of levels.
        run_dirs: {seed: {"elbo": run directory, "rate": run directory, "no_limit": run directory
            without a rate target, if there is one}}.
        seed_of_pictures: seed of the posterior and of the choice of images in the pictures.

    Returns:
        The record that is written: ``rows``, one for each seed, and ``summary``.
    """
    rows, points, pictures = [], {}, {}
    for seed, places in run_dirs.items():
        loaded = {name: load(places[name]) for name in ("elbo", "rate")}
        rows.append(table1_row(dataset, seed, prefix, places, loaded))
        points[f"ELBO, seed {seed}"] = RunDirectory(places["elbo"]).curve()
        points[f"rate-targeted, seed {seed}"] = [
            {**RunDirectory(places["rate"]).evaluation(), "decoder": "own"}
        ]
        pictures[f"reconstructions_seed_{seed}"] = _figure1(places, loaded, seed_of_pictures)
    record = {"rows": rows, "summary": _summary(rows)}
    pictures["table1"] = show.rate_distortion_plot(points, rate_unit=NATS)
    write_table(folder, "table1", record, table1_text(record), pictures)
    return record


def table1_row(
    dataset: str, seed: int, prefix: int | str, places: Mapping[str, Any], loaded: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns one row of the table; rates in nats per dimension, distortions as MSE on [-1, 1].

    Args:
        dataset: name in the table.
        seed: of the runs.
        prefix: K, see `summarise_table1`.
        places: {"elbo": run directory, "rate": ..., "no_limit": ...}, the last if there is one.
        loaded: {"elbo": model, "rate": model}.
    """
    conventional, rate = _refit_row(places["elbo"], prefix), RunDirectory(places["rate"])
    targeted, run = rate.evaluation(), rate.run()
    if None in (conventional["distortion_mse"], targeted["distortion_mse"]):
        raise UserError(f"seed {seed}: a distortion is not finite: training diverged, see its log")
    (constraint,) = targeted["constraints"]
    row = {
        "dataset": dataset,
        "seed": int(seed),
        "prefix": prefix,
        "num_levels": conventional["num_levels"],
        "conventional_rate_nats_per_dim": conventional["rate_nats_per_dim"],
        "conventional_distortion_mse": conventional["distortion_mse"],
        "conventional_distortion_mse_stderr": conventional["distortion_mse_stderr"],
        "targeted_rate_nats_per_dim": targeted["rate_nats_per_dim"],
        "targeted_distortion_mse": targeted["distortion_mse"],
        "targeted_distortion_mse_stderr": targeted["distortion_mse_stderr"],
        "relative_rate_gap": targeted["rate_nats_per_dim"] / conventional["rate_nats_per_dim"] - 1,
        "distortion_ratio": targeted["distortion_mse"] / conventional["distortion_mse"],
        "multiplier": constraint["multiplier"],
        "num_images": targeted["num_images"],
        "num_parameters": {name: model.count_params() for name, model in loaded.items()},
        "steps": {"elbo": RunDirectory(places["elbo"]).run()["steps"], "rate": run["steps"]},
    }
    if "no_limit" in places:
        free = RunDirectory(places["no_limit"]).evaluation()
        row["no_limit_rate_nats_per_dim"] = free["rate_nats_per_dim"]
        row["no_limit_distortion_mse"] = free["distortion_mse"]
    return row


def table1_text(record: Mapping[str, Any]) -> str:
    """Returns the table as text."""
    names = ("dataset", "K", "R_K", "D_K", "R*", "D*", "R*/R_K-1", "D*/D_K", "multiplier")
    lines = [
        "rates in nats/dim, distortions as mse on [-1, 1]; D_K by a fresh decoder on the frozen q",
        " ".join(f"{name:>10}" for name in (*names, "D no limit", "parameters", "steps", "seed")),
    ]
    for row in record["rows"]:
        numbers = (
            f"{row['conventional_rate_nats_per_dim']:.5f}",
            f"{row['conventional_distortion_mse']:.5f}",
            f"{row['targeted_rate_nats_per_dim']:.5f}",
            f"{row['targeted_distortion_mse']:.5f}",
            f"{row['relative_rate_gap']:+.2%}",
            f"{row['distortion_ratio']:.3f}",
            f"{row['multiplier']:.3g}",
            f"{row['no_limit_distortion_mse']:.5f}" if "no_limit_distortion_mse" in row else "-",
            f"{row['num_parameters']['rate']:,}",
            f"{row['steps']['rate']:,}",
            f"{row['seed']}",
        )
        cells = (row["dataset"], row["prefix"], *numbers)
        lines.append(" ".join(f"{cell:>10}" for cell in cells))
        if abs(row["relative_rate_gap"]) > MAX_RATE_GAP:
            lines.append(
                f"seed {row['seed']}: R* is more than {MAX_RATE_GAP:.0%} off R_K: train the rate "
                "run longer or let its multiplier move faster (MULTIPLIER_LEARNING_RATE)"
            )
    summary = record["summary"]
    error = summary["distortion_ratio_stderr"]
    lines.append(
        f"D*/D_K {summary['distortion_ratio']:.3f}"
        + (f" +- {error:.3f} (standard error over {len(record['rows'])} seeds)" if error else "")
    )
    return "\n".join(lines)


def _summary(rows):
    ratios = np.array([row["distortion_ratio"] for row in rows])
    return measure.mean_with_error("distortion_ratio", ratios)


def _refit_row(run_dir, prefix):
    """Returns the row of the curve for a prefix whose decoder was fitted for it."""
    rows = [row for row in RunDirectory(run_dir).curve() if row["decoder"] == "refit"]
    for row in reversed(rows):  # the longest prefix of a resolution is the last
        names = (str(row["num_levels"]), f"{row['resolution']}x{row['resolution']}")
        if str(prefix) in names:
            return row
    raise UserError(
        f"{run_dir}: no decoder is fitted for the prefix {prefix}: pcvae-rate-distortion "
        f"--run_dir={run_dir} --prefixes={prefix} --refit_steps=N fits it"
    )


def _figure1(places, loaded, seed):
    """Figure 1: original, conventional prefix with its own decoder, rate-targeted."""
    model, elbo = loaded["rate"], loaded["elbo"]
    images = RunDirectory(places["rate"]).dataset(model.image_shape).images("test")
    images = chosen(images, 2 * NUM_IMAGES_SHOWN, seed)
    decoders = load_prefix_decoders(places["elbo"], elbo)
    conventional = models.RefittedPrefixes(elbo, decoders).reconstruct(images, seed=seed)
    targeted = model.reconstruct(images, seed=seed)
    return show.labelled_rows(
        [
            (show.original_label(seed), images),
            ("conventional\n(ELBO, refitted)", conventional[max(conventional)]),
            ("rate-targeted", targeted),
        ]
    )
