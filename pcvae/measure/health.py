"""What is wrong with a run, by its records: findings with a number, and what to try.

All thresholds are ours.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pcvae.checks import some_names
from pcvae.measure.constraints import MET, TRAIN_LONGER, ConstraintResult
from pcvae.quantities import DISTORTION, MANY_LEVELS, NEGATIVE_ELBO, bounds_prefixes, group_name

DEAD_LEVEL_NATS = 0.01  # rate per image below which a level carries nothing
FLOOR_MARGIN = 0.05  # a rate within this of the free bits, relatively, is at the floor
SKIPPED_SHARE = (0.01, 0.1)  # of updates: a warning from the first on, an error from the second on
DATA_WAIT_SHARE = 0.1
GAP_SHARE = 0.02  # of the training value; the gap has to exceed two standard errors, too
TREND_FACTOR = 1.1  # by which a multiplier moves over the last quarter of a run that has not ended

OK, WARNING, ERROR = "ok", "warning", "error"
CONSTRAINT = "distance to the constraint"


class Finding(NamedTuple):
    """One check of a run."""

    name: str
    severity: str  # "ok", "warning" or "error"
    value: float | None  # None where it is not finite
    unit: str
    statement: str  # with the number and its unit
    remedy: str  # what to try, with the gin macro; empty for "ok"


class TrainingSeries(NamedTuple):
    """What the training log of a run says, one value for each report; None is not finite."""

    steps: list
    skipped_updates: list  # in all so far
    data_wait_fraction: list
    nonfinite: list  # how many values of the report are not finite
    negative_elbo_bits_per_dim: list  # empty for a run without a likelihood
    distortion_mse: list
    multipliers: dict = {}  # number of levels of the prefix, or None -> values


def health_findings(
    record: Mapping[str, Any],
    groups: Sequence[int | str],
    series: TrainingSeries | None = None,
    free_bits_nats_per_level: float = 0.0,
    own_data: bool = True,
) -> list[Finding]:
    """Checks a run.

    What hangs on the images, such as dead levels, a constraint, or how far they are from the
    training images, says something about the run where they are of its own data: other images are
    checked for what is not finite alone.

    Args:
        record: an evaluation, as in ``results/evaluation.json``.
        groups: group of each level, its resolution or a name.
        series: a `TrainingSeries`, or None where no training log is there.
        free_bits_nats_per_level: those of the objective.
        own_data: whether the evaluated images are of the data that the run was trained on.

    Returns:
        A list of `Finding`, the worst first.
    """
    findings = [_nonfinite(record, series)]
    if own_data:
        findings += _of_the_images(record, groups, series, free_bits_nats_per_level)
    if series and series.steps:
        findings += [_skipped(series), _data_wait(series)]
    order = (ERROR, WARNING, OK)
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def health_lines(findings: Sequence[Finding]) -> list[str]:
    """Returns what a command prints: a line for each finding that is not fine, or one if all are.

    A constraint that is met is named before them.
    """
    wrong = [finding for finding in findings if finding.severity != OK]
    lines = [
        f"health, {finding.severity}: {finding.statement}"
        + (f"; try: {finding.remedy}" if finding.remedy else "")
        for finding in wrong
    ]
    return _met(findings) + (lines or [_nothing_found(findings)])


def health_summary(findings: Sequence[Finding]) -> list[str]:
    """Returns what `health_lines` returns for a log: all that is wrong in one line, no remedies."""
    found = "; ".join(finding.statement for finding in findings if finding.severity != OK)
    return [*_met(findings), f"health: {found}" if found else _nothing_found(findings)]


def _met(findings):
    """Returns the statements of constraints that are met."""
    return [item.statement for item in findings if (item.name, item.severity) == (CONSTRAINT, OK)]


def _nothing_found(findings):
    return f"health: {len(findings)} checks, nothing found"


def _of_the_images(record, groups, series, free_bits):
    """Returns the findings that hang on the images."""
    findings = []
    # The rate of a single level that is a bound says nothing of its use; those of levels in a group
    # with a name follow from a noise schedule.
    learned = [level for level, group in enumerate(groups) if not isinstance(group, str)]
    if learned and not bounds_prefixes(record):
        findings.append(_dead_levels(record, groups, learned))
    if free_bits > 0.0:
        findings.append(_at_the_floor(record, groups, free_bits))
    multipliers = series.multipliers if series else {}
    for result in map(ConstraintResult.of_record, record.get("constraints", ())):
        findings.append(_constraint(result))
        values = multipliers.get(result.num_levels, [])
        if len(values) >= 4:
            findings.append(_multiplier_trend(result.num_levels, values))
    gap = _train_gap(record, series) if series and series.steps else None
    return [*findings, gap] if gap else findings


def level_remark(rate_nats: float, free_bits_nats_per_level: float = 0.0) -> str:
    """Returns what a table says of a level: "dead", "at the free-bits floor", or nothing."""
    if rate_nats is None:
        return "not finite"
    if rate_nats < DEAD_LEVEL_NATS:
        return "dead"
    held = rate_nats <= free_bits_nats_per_level * (1.0 + FLOOR_MARGIN)
    return "at the free-bits floor" if held else ""


def _dead_levels(record, groups, learned):
    rates = _numbers(record["rate_nats_per_level"])
    dead = [level for level in learned if rates[level] < DEAD_LEVEL_NATS]
    statement = (
        f"dead levels (rate below {DEAD_LEVEL_NATS} nats per image): {len(dead) or 'none'} of "
        f"{len(learned)}{_named(dead, groups)}"
    )
    remedy = (
        f"{TRAIN_LONGER}; a slower start of the rate (KL_WARMUP_STEPS) or a floor "
        "(FREE_BITS_NATS_PER_LEVEL); or fewer levels at that resolution (the layer string)"
    )
    return _finding("dead levels", bool(dead), len(dead), "levels", statement, remedy)


def _at_the_floor(record, groups, free_bits):
    rates = _numbers(record["rate_nats_per_level"])
    floor = free_bits * (1.0 + FLOOR_MARGIN)
    held = [level for level, rate in enumerate(rates) if rate <= floor]
    statement = (
        f"levels at the free-bits floor ({free_bits:g} nats per image): {len(held) or 'none'} of "
        f"{len(rates)}{_named(held, groups)}"
    )
    remedy = (
        "their rate is what the floor gives away, not what the images ask for: lower "
        "FREE_BITS_NATS_PER_LEVEL towards the end of training"
    )
    return _finding("levels at the floor", bool(held), len(held), "levels", statement, remedy)


def _nonfinite(record, series):
    in_record = sum(
        _unknown(value)
        for key, value in record.items()
        # One image has no standard error, and some numbers say themselves why there are none.
        if not key.endswith("_stderr") and f"{key}_reason" not in record
    )
    in_log = sum(series.nonfinite) if series else 0
    statement = (
        f"values that are not finite: {in_record} in the evaluation"
        f"{f', {in_log} in the training log' if series else ''}"
    )
    remedy = (
        "go back to an older checkpoint with a lower LEARNING_RATE or CLIP_NORM, or a longer "
        "WARMUP_STEPS"
    )
    severity = ERROR if in_record or in_log else OK
    return Finding(
        "values that are not finite",
        severity,
        in_record + in_log,
        "values",
        statement,
        remedy if severity != OK else "",
    )


def _constraint(result):
    relative = result.relative_gap
    return Finding(
        CONSTRAINT,
        OK if result.status == MET else WARNING,
        None if relative is None else 100.0 * relative,
        "% of the target",
        result.finding,
        result.remedy,
    )


def _multiplier_trend(prefix, values):
    """Compares the multiplier with what it was when three quarters of the reports were written."""
    numbers = _numbers(values)
    now, before = numbers[-1], numbers[(3 * len(numbers)) // 4 - 1]
    factor = now / before if before > 0.0 else math.nan
    of = "" if prefix is None else f" of the first {prefix} levels"
    moving = not 1.0 / TREND_FACTOR <= factor <= TREND_FACTOR
    word = "still rises" if factor > TREND_FACTOR else "still falls" if moving else "stands"
    number = f"x{factor:.3g}" if math.isfinite(factor) else "not finite"
    statement = f"multiplier{of} {word}: {number} over the last quarter of the run, now {now:.3g}"
    remedy = (
        f"the run has not found its balance: {TRAIN_LONGER}, or let the multiplier move "
        "faster (MULTIPLIER_LEARNING_RATE), or start it near where it ends (MULTIPLIER_INITIAL)"
    )
    value = factor if math.isfinite(factor) else None
    return _finding("trend of the multiplier", moving, value, "times", statement, remedy)


def _skipped(series):
    skipped = series.skipped_updates or [0.0]
    share = (skipped[-1] or 0.0) / max(1, series.steps[-1])
    low, high = SKIPPED_SHARE
    severity = ERROR if share >= high else WARNING if share >= low else OK
    remedy = (
        "a lower LEARNING_RATE or longer WARMUP_STEPS; SKIP_FACTOR says how far above the median "
        "a gradient norm is skipped"
    )
    statement = f"skipped updates: {share:.2%} of {series.steps[-1]:,}"
    remedy = remedy if severity != OK else ""
    return Finding("skipped updates", severity, 100.0 * share, "% of updates", statement, remedy)


def _data_wait(series):
    # The first report holds the start of the pipeline, unless it is all there is.
    values = _numbers(series.data_wait_fraction[1:] or series.data_wait_fraction)
    share = float(np.nanmean(values)) if np.isfinite(values).any() else 0.0
    statement = f"time spent waiting for data: {share:.1%}"
    remedy = "a faster disk for PCVAE_CACHE_DIR, or a smaller IMAGE_SIZE"
    waiting = share > DATA_WAIT_SHARE
    return _finding("data wait", waiting, 100.0 * share, "% of the time", statement, remedy)


def _train_gap(record, series):
    """Compares the evaluated split with the last tenth of the training log (raw weights)."""
    name, unit = NEGATIVE_ELBO.key, NEGATIVE_ELBO.unit
    values = series.negative_elbo_bits_per_dim
    if not values or name not in record:
        name, unit, values = DISTORTION.key, "mse", series.distortion_mse
    last = _numbers(values[-max(1, len(values) // 10) :])
    if not len(last) or record[name] is None or not np.isfinite(last).any():
        return None
    train = float(np.nanmean(last))
    if not train:
        return None
    gap, error = record[name] - train, record[f"{name}_stderr"]
    split = record.get("split", "evaluated")
    statement = (
        f"the {split} split is {abs(gap):.4g} {unit} {'above' if gap > 0 else 'below'} the last "
        f"tenth of the training log ({gap / train:+.1%})"
    )
    remedy = (
        "the model learns its training images by heart: more data, fewer TRAIN_STEPS, or a smaller "
        "WIDTH; if the averaged weights lag behind, a lower EMA_DECAY"
    )
    # One image, whose error nobody knows, says nothing about a split.
    known = split != "train" and error is not None
    wide = known and gap > max(GAP_SHARE * abs(train), 2.0 * error)
    return _finding("gap to training", wide, gap, unit, statement, remedy)


def _finding(name, wrong, value, unit, statement, remedy):
    severity = WARNING if wrong else OK
    return Finding(name, severity, value, unit, statement, remedy if wrong else "")


def _named(levels, groups):
    names = [f"{level} ({group_name(groups[level])})" for level in levels]
    return f": {some_names(names, MANY_LEVELS)}" if names else ""


def _unknown(value):
    """How many numbers of a value are not finite, which a record holds as None."""
    return sum(item is None for item in (value if isinstance(value, list) else [value]))


def _numbers(values):
    """An array with NaN for None, which stands for what was not finite."""
    return np.array([math.nan if v is None else v for v in np.atleast_1d(values)], float)
