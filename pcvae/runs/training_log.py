"""What the logs of a run say: curves for pages, and series for the checks of its health."""

from collections.abc import Mapping, Sequence
from typing import Any

from pcvae import measure, quantities, show


def training_series(records: Sequence[Mapping[str, Any]]) -> measure.TrainingSeries | None:
    """Returns the `measure.TrainingSeries` of the training log, or None if it is empty.

    Args:
        records: the scalars of the log "train", see `RunDirectory.scalars`.
    """
    if not records:
        return None

    def column(tag):
        return [record[tag] for record in records if tag in record]

    multipliers = {
        prefix: column(quantities.constraint_tag(quantities.LAGRANGE_MULTIPLIER, prefix))
        for prefix in quantities.constrained_prefixes(records[-1])
    }
    return measure.TrainingSeries(
        steps=column("step"),
        skipped_updates=column(quantities.SKIPPED_UPDATES.tag),
        data_wait_fraction=column(quantities.DATA_WAIT_FRACTION.tag),
        nonfinite=[sum(value is None for value in record.values()) for record in records],
        negative_elbo_bits_per_dim=column(quantities.NEGATIVE_ELBO.tag),
        distortion_mse=column(quantities.DISTORTION.tag),
        multipliers=multipliers,
    )


def curve_panels(histories: Mapping[str, Any]) -> list[show.Panel]:
    """Returns the panels of what runs have logged, those that say nothing left out.

    Args:
        histories: {label: {"train": records, "eval": records}} of one run, or {label: {"train":
            records}} of several. A line is named after the log or after the run.
    """
    panels = []
    for quantity in quantities.CURVES:
        lines = _lines(histories, quantity.tag)
        if any(value for line in lines for value in line.values):
            panel = (quantity.name, quantity.unit, lines, quantity.logarithmic)
            panels.append(show.Panel(*panel, legend=True))
    tags = {tag for logs in histories.values() for record in logs["train"][-1:] for tag in record}
    for prefix in quantities.constrained_prefixes(tags):
        of = "" if prefix is None else f", first {prefix} levels"
        tag = quantities.constraint_tag(quantities.LAGRANGE_MULTIPLIER, prefix)
        lines = _lines(histories, tag)
        legend = len(histories) > 1
        panels.append(show.Panel(f"multiplier{of}", "weight", lines, True, legend=legend))
        panels += _gap_panel(histories, prefix, of)
    return panels


def _gap_panel(histories, prefix, of):
    gap_tag, target_tag = (
        quantities.constraint_tag(tag, prefix)
        for tag in (quantities.CONSTRAINT_GAP, quantities.CONSTRAINT_TARGET)
    )
    lines = []
    for colour, (label, logs) in enumerate(histories.items()):
        # Both are there and a target is not 0, unless somebody has edited the log.
        records = [
            record
            for record in logs["train"]
            if record.get(gap_tag) is not None and record.get(target_tag)
        ]
        values = [100.0 * record[gap_tag] / record[target_tag] for record in records]
        if records:
            steps = [record["step"] for record in records]
            lines.append(show.Line(label, steps, values, colour))
    title = f"constraint gap{of}"
    panel = show.Panel(title, "% of the target", lines, target=0.0, legend=True)
    return [panel] if lines else []


def _lines(histories, tag):
    """Returns a line for each log that holds a tag; the colour tells the run, or else the log."""
    lines = []
    for run, (label, logs) in enumerate(histories.items()):
        for log, (name, records) in enumerate(logs.items()):
            records = [record for record in records if tag in record]
            if records:
                steps, values = ([record[key] for record in records] for key in ("step", tag))
                text, colour = (label, run) if len(histories) > 1 else (name, log)
                lines.append(show.Line(text, steps, values, colour))
    return lines
