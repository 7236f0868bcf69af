"""Whether a constrained run has met its targets, and what to try if not."""

from pcvae import units

TOLERANCE = 0.03  # largest relative gap of a constraint that counts as met

MET, NOT_MET, SLACK = "met", "not met", "slack"

_REMEDIES = {
    ("rate_nats_per_dim", NOT_MET): (
        "train longer, or let the multiplier move faster (MULTIPLIER_LEARNING_RATE)"
    ),
    ("rate_nats_per_dim", SLACK): (
        "the model does not use the rate that it may: train longer, let the multiplier move faster "
        "(MULTIPLIER_LEARNING_RATE), or give the model more latents (LATENT_WIDTH, "
        "NUM_LATENT_LEVELS)"
    ),
    ("distortion_mse", NOT_MET): (
        "the model cannot do it yet: train longer, let the multiplier move faster "
        "(MULTIPLIER_LEARNING_RATE), or give the model more latents or width"
    ),
    ("distortion_mse", SLACK): (
        "the rate could be lower: train longer, or let the multiplier move faster "
        "(MULTIPLIER_LEARNING_RATE)"
    ),
}


def constraint_results(constraints, record, image_shape, multipliers=None):
    """Compares the constraints of a run with an evaluation.

    Args:
        constraints: list of dict with ``quantity``, ``target`` and ``num_levels``, as in
            ``run.json``.
        record: an evaluation's record, see `LikelihoodEvaluation`.
        image_shape: (height, width, channels).
        multipliers: the multiplier of each constraint, or None.

    Returns:
        A list with one dict for each constraint: ``quantity``, ``num_levels`` (None for all
        levels), ``target``, ``value``, ``constraint_gap`` (value - target), ``relative_gap``,
        ``status`` ("met" within 3 %, "not met", or "slack": more than 3 % below the target),
        ``multiplier`` and ``statement``. A value that is not finite is None, and not met.
    """
    results = []
    for index, constraint in enumerate(constraints):
        value = _value(constraint, record, image_shape)
        target = constraint["target"]
        gap = None if value is None else value - target
        status = _status(gap, target)
        result = {
            **constraint,
            "value": value,
            "constraint_gap": gap,
            "relative_gap": None if gap is None else gap / target,
            "status": status,
            "multiplier": None if multipliers is None else float(multipliers[index]),
        }
        results.append({**result, "statement": _statement(result)})
    return results


def _value(constraint, record, image_shape):
    if constraint["quantity"] == "distortion_mse":
        return record["distortion_mse"]
    rates = record["rate_nats_per_level"][: constraint["num_levels"]]
    return None if None in rates else units.nats_per_dim(sum(rates), image_shape)


def _status(gap, target):
    if gap is None or gap > TOLERANCE * target:
        return NOT_MET
    return SLACK if gap < -TOLERANCE * target else MET


def _statement(result):
    quantity, status, prefix = result["quantity"], result["status"], result["num_levels"]
    name = "rate" if quantity == "rate_nats_per_dim" else "distortion"
    if prefix is not None:
        name += f" of the first {prefix} {'level' if prefix == 1 else 'levels'}"
    unit = "nats/dim" if quantity == "rate_nats_per_dim" else "mse"
    if result["value"] is None:
        return f"constraint not met: {name} is not finite, target {result['target']:.4g} {unit}"
    numbers = (
        f"{name} {result['value']:.4g}, target {result['target']:.4g} {unit}, "
        f"gap {result['constraint_gap']:+.3g} ({result['relative_gap']:+.1%})"
    )
    if result["multiplier"] is not None:
        numbers += f", multiplier {result['multiplier']:.3g}"
    if status == MET:
        return f"constraint met: {numbers}"
    word = "not met" if status == NOT_MET else "met with slack"
    return f"constraint {word}: {numbers}; {_REMEDIES[quantity, status]}"
