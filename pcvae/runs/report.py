"""The page of a run, ``report.html``: everything that its files say, in one file."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pcvae import measure, models, show
from pcvae.errors import UserError
from pcvae.files import read_text, write_json
from pcvae.quantities import rate_notes, rates_from
from pcvae.runs.run_directory import RunDirectory
from pcvae.runs.training_log import curve_panels, training_series
from pcvae.wording import shared_rate_unit

CAPTIONS = {
    "samples_t1.0": "Samples at temperature 1.0",
    "samples_t0.9": "Samples at temperature 0.9",
    "samples_t0.8": "Samples at temperature 0.8",
    "samples_t0.7": "Samples at temperature 0.7",
    "conditional_samples": "Conditions, samples for them, originals",
    "prefix_reconstruction": "Reconstructions from prefixes of latents; K is the number of levels",
    "refit_reconstructions": "Reconstructions by decoders fitted to prefixes, q frozen",
    "progressive_reconstructions": "What each prefix tells of an image: its rate in bits and the "
    "PSNR of the reconstruction",
    "progressive_samples": "Samples whose first K levels are fixed; the rest is drawn anew in each "
    "row",
    "rate_maps": "Where in the picture the bits of each resolution go",
}
_CURVE_FIELDS = ("data", "split", "num_images", "seed")


def health_of(directory: RunDirectory, record: Mapping[str, Any]) -> list[measure.Finding]:
    """Returns the findings about a run; see `measure.health_findings`.

    Args:
        directory: a `RunDirectory`.
        record: an evaluation of it.
    """
    groups = shape_of(directory, record)[1]
    series = training_series(directory.scalars("train"))
    free_bits, own = directory.free_bits_nats_per_level(), directory.has_data(record.get("data"))
    return measure.health_findings(record, groups, series, free_bits, own)


def write_health(directory: RunDirectory, record: Mapping[str, Any]) -> list[measure.Finding]:
    """Writes ``results/health.json``, what the findings about a run are; returns the findings.

    A file of its own: they hold times, and an evaluation is the same each time.
    """
    findings = health_of(directory, record)
    write_json([finding._asdict() for finding in findings], directory.result("health"))
    return findings


def write_report(run_dir: str | os.PathLike) -> Path:
    """Writes ``report.html`` of a run directory that is evaluated; returns its path.

    Writes ``results/health.json``, too. The page holds what is there: the curve of prefixes, and
    the pictures, if they were made.

    Raises:
        UserError: the run is damaged, or not evaluated.
    """
    directory = RunDirectory(run_dir)
    record, label = directory.evaluation(), directory.label
    histories = {label: {name: directory.scalars(name) for name in ("train", "eval")}}
    rows, (shape, groups) = directory.curve_if_measured(), shape_of(directory, record)
    by_resolution = measure.mean_rate_by_resolution(record, shape, groups)
    constraints = directory.run().get("constraints", [])
    rate_unit = shared_rate_unit([constraints])
    show.write_page(
        "report.html",
        directory.report_html,
        title=label,
        subtitle=f"{measure.headline(record)} on {record['num_images']:,} images of the "
        f"{record['split']} split",
        record=record,
        findings=write_health(directory, record),
        curves=curve_figures(histories, constraints),
        rate_plots=_rate_plots(label, rows, by_resolution, rate_unit),
        curve_note=_curve_note(rows),
        rate_note="; ".join(rate_notes(record)),
        rates=rates_from(rate_unit),
        levels=measure.level_rows(record, shape, groups, directory.free_bits_nats_per_level()),
        pictures=_pictures(directory),
        protocol=_protocol(record, rows),
        configuration=_texts(directory),
    )
    return directory.report_html


def check_report_files(directory: RunDirectory, replaced: str | None = None) -> None:
    """Checks what `write_report` reads: before long work, not after it.

    Args:
        directory: a `RunDirectory`.
        replaced: the result that the work makes anew, which may be damaged: "evaluation",
            "rate_distortion" or None.

    Raises:
        UserError: a file is damaged.
    """
    for name in ("train", "eval"):
        directory.scalars(name)
    if replaced != "evaluation" and directory.evaluation_json.exists():
        directory.evaluation()
    if replaced != "rate_distortion":
        directory.curve_if_measured()


def refreshed_report(directory: RunDirectory) -> list[Path]:
    """Writes the report anew, if the run is evaluated; returns the paths that are written."""
    return [write_report(directory)] if directory.evaluation_json.exists() else []


def curve_figures(
    histories: Mapping[str, Any], constraints: Sequence[Mapping[str, Any]] = ()
) -> list:
    """Returns the curves of runs as SVG elements; see `training_log.curve_panels`."""
    panels = curve_panels(histories, constraints)
    return [show.curve_plot(panel, output=show.inline_svg) for panel in panels]


def rate_distortion_figures(
    curves: Mapping[str, Sequence[Mapping[str, Any]]], rate_unit: str
) -> list:
    """Returns the rate-distortion plots of {label: rows} as SVG elements, MSE and PSNR."""
    return [
        show.rate_distortion_plot(curves, (name,), rate_unit, output=show.inline_svg)
        for name in ("distortion_mse", "psnr_db")
    ]


def curve_or_point(directory: RunDirectory, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the rows of the curve of a run; without one, the point of its evaluation."""
    return directory.curve_if_measured() or [{**record, "decoder": "own"}]


def shape_of(
    directory: RunDirectory, record: Mapping[str, Any]
) -> tuple[tuple[int, ...], list[int | str]]:
    """Returns the image shape and the group of each level of a run, its resolution or a name.

    Records of older versions do not hold them; the model does.

    Raises:
        UserError: the model has other levels than the record.
    """
    if "image_shape" in record:
        groups = record.get("level_groups", record["level_resolutions"])
        return tuple(record["image_shape"]), groups
    model = models.read_model(directory.model_json)
    count = len(record["rate_nats_per_level"])
    if count != model.num_levels:
        raise UserError(
            f"{directory}: expected an evaluation of {model.num_levels} levels, got one of "
            f"{count}: evaluate the run, pcvae-evaluate --run_dir={directory}"
        )
    return model.image_shape, list(model.level_groups)


def protocol_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the numbers of an evaluation hang on, without the numbers."""
    names = (
        "data",
        "split",
        "num_images",
        "seed",
        "weights",
        "step",
        "image_shape",
        "importance_samples",
    )
    return {name: record[name] for name in names if name in record}


def _curve_note(rows):
    if rows:
        return ""
    return (
        "pcvae-rate-distortion measures rate and distortion of every prefix of the latents, and "
        "puts the curve here."
    )


def _rate_plots(label, rows, by_resolution, rate_unit):
    return [
        *(rate_distortion_figures({label: rows}, rate_unit) if rows else ()),
        show.rate_by_resolution_plot({label: by_resolution}, rate_unit, output=show.inline_svg),
    ]


def _pictures(directory):
    found = [(name, directory.image(name)) for name in CAPTIONS]
    return [
        {**show.picture(path), "caption": CAPTIONS[name]} for name, path in found if path.exists()
    ]


def _protocol(record, rows):
    protocol = {"evaluation": protocol_of(record)}
    protocol |= {
        key.removesuffix("_protocol").replace("_", " "): value
        for key, value in record.items()
        if key.endswith("_protocol") and isinstance(value, dict)
    }
    if rows:
        curve = {name: rows[0][name] for name in _CURVE_FIELDS if name in rows[0]}
        protocol["rate-distortion curve"] = curve
    return protocol


def _texts(directory):
    files = (
        directory.config_gin,
        directory.operative_config_gin,
        directory.run_json,
        directory.model_json,
    )
    return {path.name: read_text(path, errors="replace") for path in files if path.exists()}
