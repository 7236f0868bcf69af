"""What the logs of a run say: curves for pages, and series for the checks of its health."""

from pcvae import measure, show
from pcvae.training import summaries

_PANELS = (
    ("negative ELBO", "bits/dim", summaries.NEGATIVE_ELBO_BITS_PER_DIM, False),
    ("reconstruction term", "bits/dim", summaries.NLL_BITS_PER_DIM, False),
    ("rate", "bits/dim", summaries.RATE_BITS_PER_DIM, False),
    ("distortion", "mse on [-1, 1]", summaries.DISTORTION_MSE, True),
    ("gradient norm", "global norm", summaries.GRADIENT_NORM, True),
    ("learning rate", "per update", summaries.LEARNING_RATE, False),
    ("skipped updates", "updates so far", summaries.SKIPPED_UPDATES, False),
    ("speed", "images/s", summaries.IMAGES_PER_SECOND, False),
)


def training_series(records):
    """Returns the `measure.TrainingSeries` of the training log, or None if it is empty.

    Args:
        records: the scalars of the log "train", see `RunDirectory.scalars`.
    """
    if not records:
        return None

    def column(tag):
        return [record[tag] for record in records if tag in record]

    multipliers = {
        _num_levels(tag): column(tag)
        for tag in records[-1]
        if tag.startswith(summaries.LAGRANGE_MULTIPLIER)
    }
    return measure.TrainingSeries(
        steps=column("step"),
        skipped_updates=column(summaries.SKIPPED_UPDATES),
        data_wait_fraction=column(summaries.DATA_WAIT_FRACTION),
        nonfinite=[sum(value is None for value in record.values()) for record in records],
        negative_elbo_bits_per_dim=column(summaries.NEGATIVE_ELBO_BITS_PER_DIM),
        distortion_mse=column(summaries.DISTORTION_MSE),
        multipliers=multipliers,
    )


def curve_panels(histories):
    """Returns the panels of what runs have logged, those that say nothing left out.

    Args:
        histories: {label: {"train": records, "eval": records}} of one run, or {label: {"train":
            records}} of several. A line is named after the log or after the run.
    """
    panels = []
    for title, unit, tag, logarithmic in _PANELS:
        lines = _lines(histories, tag)
        if any(value for line in lines for value in line.values):
            panels.append(show.Panel(title, unit, lines, logarithmic, legend=True))
    tags = {tag for logs in histories.values() for record in logs["train"][-1:] for tag in record}
    for tag in sorted(tag for tag in tags if tag.startswith(summaries.LAGRANGE_MULTIPLIER)):
        prefix = _num_levels(tag)
        of = "" if prefix is None else f", first {prefix} levels"
        lines = _lines(histories, tag)
        legend = len(histories) > 1
        panels.append(show.Panel(f"multiplier{of}", "weight", lines, True, legend=legend))
        panels += _gap_panel(histories, tag, of)
    return panels


def _gap_panel(histories, multiplier_tag, of):
    suffix = multiplier_tag.removeprefix(summaries.LAGRANGE_MULTIPLIER)
    gap_tag, target_tag = (
        f"{tag}{suffix}" for tag in (summaries.CONSTRAINT_GAP, summaries.CONSTRAINT_TARGET)
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


def _num_levels(tag):
    """The number of levels in the tag of a constraint, None for all; see `constraint_tag`."""
    digits = tag.rpartition("_prefix_")[2] if "_prefix_" in tag else ""
    return int(digits) if digits.isdecimal() else None
