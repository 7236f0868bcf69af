"""What a run says of itself: a line for people, scalars for TensorBoard."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pcvae import quantities
from pcvae.training.loop import Window
from pcvae.wording import BITS, DISTORTION, RATE, UNBOUNDED, Wording, from_bits, relative_gap, told


def progress_line(window: Window, wording: Wording = UNBOUNDED) -> str:
    """Returns one line: step, negative ELBO and its parts, speed, time left.

    Args:
        window: a `loop.Window`.
        wording: the units of the run's targets.
    """
    metrics = window.metrics
    rate, distortion = metrics[quantities.RATE.tag], metrics[quantities.DISTORTION.tag]
    width = len(str(window.num_steps))
    parts = [f"step {window.step:>{width}}/{window.num_steps}"]
    if quantities.NEGATIVE_ELBO.tag in metrics:
        parts.append(
            f"{metrics[quantities.NEGATIVE_ELBO.tag]:.3f} bits/dim "
            f"(nll {metrics[quantities.NLL.tag]:.3f} "
            f"+ rate {rate:.3f})"
        )
    elif RATE in wording.bounded:
        parts.append(f"rate {told(RATE, from_bits(rate), wording.rate)}")
    else:
        parts.append(f"rate {rate:.4f} {BITS}")
    if DISTORTION in wording.bounded:
        parts.append(f"distortion {told(DISTORTION, distortion, wording.distortion)}")
    else:
        parts.append(f"mse {distortion:.4f}")
    parts += _constraint_parts(metrics)
    parts.append(f"{window.images_per_second:.0f} images/s")
    if window.data_wait_fraction > 0.1:
        parts.append(f"{window.data_wait_fraction:.0%} of the time waiting for data")
    skipped = int(metrics["update"].skipped_total)
    if skipped:
        parts.append(f"{skipped} updates skipped")
    if window.seconds_left:
        end = "" if window.knows_the_end else ", then an evaluation"
        parts.append(f"{duration(window.seconds_left)} left{end}")
    return " | ".join(parts)


def _constraint_parts(metrics):
    """Returns the relative gap and the multiplier of each constraint, as a progress line has it."""
    parts = []
    for prefix in quantities.constrained_prefixes(metrics):
        gap, target, multiplier = (
            metrics[quantities.constraint_tag(tag, prefix)]
            for tag in (
                quantities.CONSTRAINT_GAP,
                quantities.CONSTRAINT_TARGET,
                quantities.LAGRANGE_MULTIPLIER,
            )
        )
        of = "" if prefix is None else f" K={prefix:03d}"
        parts.append(f"gap{of} {relative_gap(gap, target):+.1%} (multiplier {multiplier:.3g})")
    return parts


def duration(seconds: float) -> str:
    """Returns a length of time as people read it: ``42s``, ``3m05s``, ``2h10m``."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    return f"{seconds // 3600}h{seconds % 3600 // 60:02d}m"


def training_scalars(window: Window, groups: Sequence[int | str]) -> dict[str, Any]:
    """Returns {tag: number} of a window of training.

    Args:
        window: a `loop.Window`.
        groups: group of each level, its resolution or a name.
    """
    update = window.metrics["update"]
    named = {
        name: value
        for name, value in window.metrics.items()
        if name not in ("update", "rate_per_level_nats")
    }
    return {
        **named,
        **rate_scalars(window.metrics["rate_per_level_nats"], groups),
        quantities.GRADIENT_NORM.tag: update.gradient_norm,
        quantities.SKIPPED_UPDATES.tag: update.skipped_total,
        quantities.LEARNING_RATE.tag: update.learning_rate,
        quantities.IMAGES_PER_SECOND.tag: window.images_per_second,
        quantities.DATA_WAIT_FRACTION.tag: window.data_wait_fraction,
    }


def evaluation_scalars(record: Mapping[str, Any], groups: Sequence[int | str]) -> dict[str, Any]:
    """Returns {tag: number} of an evaluation; see `measure.LikelihoodEvaluation`."""
    scalars = {
        quantity.tag: _number(record[quantity.key])
        for quantity in quantities.QUANTITIES
        if quantity.tag and quantity.key in record
    }
    for constraint in record.get("constraints", ()):
        tag = quantities.constraint_tag(quantities.CONSTRAINT_GAP, constraint["num_levels"])
        scalars[tag] = _number(constraint["constraint_gap"])
    return {**scalars, **rate_scalars(record["rate_nats_per_level"], groups)}


def rate_scalars(
    rate_per_level_nats: Sequence[float], groups: Sequence[int | str]
) -> dict[str, float]:
    """Returns the sums of rates over groups, and those of levels unless there are 100 or more.

    In nats per image; a group is a resolution or a name.
    """
    scalars, sums = {}, {}
    for level, (rate, group) in enumerate(zip(rate_per_level_nats, groups, strict=True)):
        scalars[quantities.rate_of_level_tag(level)] = _number(rate)
        sums[group] = sums.get(group, 0.0) + _number(rate)
    of_groups = {quantities.rate_of_group_tag(group): rate for group, rate in sums.items()}
    return {**of_groups, **scalars} if len(scalars) < quantities.MANY_LEVELS else of_groups


def _number(value):
    """A number for None, which stands for what was not finite."""
    return math.nan if value is None else float(value)
