"""What a run says of itself: a line for people, scalars for TensorBoard."""

import math

from pcvae.training import summaries


def progress_line(window):
    """Returns one line: step, negative ELBO and its parts, speed, time left."""
    metrics = window.metrics
    width = len(str(window.num_steps))
    parts = [f"step {window.step:>{width}}/{window.num_steps}"]
    if summaries.NEGATIVE_ELBO_BITS_PER_DIM in metrics:
        parts.append(
            f"{metrics[summaries.NEGATIVE_ELBO_BITS_PER_DIM]:.3f} bits/dim "
            f"(nll {metrics[summaries.NLL_BITS_PER_DIM]:.3f} "
            f"+ rate {metrics[summaries.RATE_BITS_PER_DIM]:.3f})"
        )
    else:
        parts.append(f"rate {metrics[summaries.RATE_BITS_PER_DIM]:.4f} bits/dim")
    parts.append(f"mse {metrics[summaries.DISTORTION_MSE]:.4f}")
    parts += _constraint_parts(metrics)
    parts.append(f"{window.images_per_second:.0f} images/s")
    if window.data_wait_fraction > 0.1:
        parts.append(f"{window.data_wait_fraction:.0%} of the time waiting for data")
    skipped = int(metrics["update"].skipped_total)
    if skipped:
        parts.append(f"{skipped} updates skipped")
    if window.seconds_left:
        parts.append(f"{duration(window.seconds_left)} left")
    return " | ".join(parts)


def _constraint_parts(metrics):
    """Returns the relative gap and the multiplier of each constraint, as a progress line has it."""
    parts = []
    for tag in sorted(name for name in metrics if name.startswith(summaries.CONSTRAINT_GAP)):
        suffix = tag.removeprefix(summaries.CONSTRAINT_GAP)
        relative = metrics[tag] / metrics[summaries.CONSTRAINT_TARGET + suffix]
        multiplier = metrics[summaries.LAGRANGE_MULTIPLIER + suffix]
        prefix = suffix.replace("_prefix_", " K=")
        parts.append(f"gap{prefix} {relative:+.1%} (multiplier {multiplier:.3g})")
    return parts


def duration(seconds):
    """Returns a length of time as people read it: ``42s``, ``3m05s``, ``2h10m``."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    return f"{seconds // 3600}h{seconds % 3600 // 60:02d}m"


def training_scalars(window, resolutions):
    """Returns {tag: number} of a window of training.

    Args:
        window: a `loop.Window`.
        resolutions: resolution of each level.
    """
    update = window.metrics["update"]
    named = {
        name: value
        for name, value in window.metrics.items()
        if name not in ("update", "rate_per_level_nats")
    }
    return {
        **named,
        **rate_scalars(window.metrics["rate_per_level_nats"], resolutions),
        summaries.GRADIENT_NORM: update.gradient_norm,
        summaries.SKIPPED_UPDATES: update.skipped_total,
        summaries.LEARNING_RATE: update.learning_rate,
        summaries.IMAGES_PER_SECOND: window.images_per_second,
        summaries.DATA_WAIT_FRACTION: window.data_wait_fraction,
    }


def evaluation_scalars(record, resolutions):
    """Returns {tag: number} of an evaluation; see `measure.LikelihoodEvaluation`."""
    tags = {
        "negative_elbo_bits_per_dim": summaries.NEGATIVE_ELBO_BITS_PER_DIM,
        "nll_bits_per_dim": summaries.NLL_BITS_PER_DIM,
        "rate_bits_per_dim": summaries.RATE_BITS_PER_DIM,
        "distortion_mse": summaries.DISTORTION_MSE,
    }
    scalars = {tag: _number(record[name]) for name, tag in tags.items() if name in record}
    for constraint in record.get("constraints", ()):
        tag = summaries.constraint_tag(summaries.CONSTRAINT_GAP, constraint["num_levels"])
        scalars[tag] = _number(constraint["constraint_gap"])
    return {**scalars, **rate_scalars(record["rate_nats_per_level"], resolutions)}


def rate_scalars(rate_per_level_nats, resolutions):
    """Returns the rates of levels and the sums over resolutions, nats per image."""
    scalars, sums = {}, {}
    for level, (rate, resolution) in enumerate(zip(rate_per_level_nats, resolutions, strict=True)):
        scalars[summaries.rate_of_level_tag(level)] = _number(rate)
        sums[resolution] = sums.get(resolution, 0.0) + _number(rate)
    return {
        **{summaries.rate_of_resolution_tag(side): rate for side, rate in sums.items()},
        **scalars,
    }


def _number(value):
    """A number for None, which stands for what was not finite."""
    return math.nan if value is None else float(value)
