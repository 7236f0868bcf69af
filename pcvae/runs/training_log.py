"""What the logs of a run say: curves for pages, and series for the checks of its health."""

from collections.abc import Mapping, Sequence
from typing import Any

from pcvae import measure, quantities, show
from pcvae.wording import (
    DECIBELS,
    DISTORTION,
    RATE,
    converted,
    from_bits,
    relative_gap,
    wording_of,
)


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


def curve_panels(
    histories: Mapping[str, Any], constraints: Sequence[Mapping[str, Any]] = ()
) -> list[show.Panel]:
    """Returns the panels of what runs have logged, those that say nothing left out.

    A rate or a distortion that has a target is drawn in the unit in which that was given.

    Args:
        histories: {label: {"train": records, "eval": records}} of one run, or {label: {"train":
            records}} of several. A line is named after the log or after the run.
        constraints: those of the run, as in ``run.json``; of several runs those they share.
    """
    panels, wording = [], wording_of(constraints)
    targets = {item["quantity"]: item["target"] for item in constraints if not item["num_levels"]}
    for quantity in quantities.CURVES:
        lines = _lines(histories, quantity.tag)
        if any(value for line in lines for value in line.values):
            panel = show.Panel(
                quantity.name, quantity.unit, lines, quantity.logarithmic, legend=True
            )
            bounded = _BOUNDED.get(quantity)
            if bounded in wording.bounded:
                panel = _in_unit_of_target(panel, bounded, wording, targets.get(bounded))
            panels.append(panel)
    tags = {tag for logs in histories.values() for record in logs["train"][-1:] for tag in record}
    for prefix in quantities.constrained_prefixes(tags):
        of = "" if prefix is None else f", first {prefix} levels"
        tag = quantities.constraint_tag(quantities.LAGRANGE_MULTIPLIER, prefix)
        lines = _lines(histories, tag)
        legend = len(histories) > 1
        panels.append(show.Panel(f"multiplier{of}", "weight", lines, True, legend=legend))
        panels += _gap_panel(histories, prefix, of)
    return panels


# What a run logs of a quantity that may have a target: the rate in bits per dimension.
_BOUNDED = {quantities.RATE: RATE, quantities.DISTORTION: DISTORTION}


def _in_unit_of_target(panel, bounded, wording, target):
    """Returns a panel in the unit of a target, with a line at the target."""
    unit = wording.unit(bounded)

    def shown(value):
        if value is None:
            return None
        return float(converted(bounded, from_bits(value) if bounded == RATE else value, unit))

    lines = [line._replace(values=[*map(shown, line.values)]) for line in panel.lines]
    return panel._replace(
        label=unit,
        lines=lines,
        logarithmic=panel.logarithmic and unit != DECIBELS,
        target=None if target is None else float(converted(bounded, target, unit)),
    )


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
        values = [100.0 * relative_gap(record[gap_tag], record[target_tag]) for record in records]
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
