"""Whether a constrained run has met its targets, and what to try if not."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pcvae import units
from pcvae.wording import DISTORTION, NAMES, RATE, relative_gap, told, told_alone, told_gap

TOLERANCE = 0.03  # largest relative gap of a constraint that counts as met

MET, NOT_MET, SLACK = "met", "not met", "slack"

TRAIN_LONGER = (
    "train longer (the same command with a larger --gin.TRAIN_STEPS and --allow_config_change goes "
    "on where the run stands; a cosine that ends at TRAIN_STEPS becomes the longer one, so that "
    "the learning rate rises again to its place there)"
)

_WORDS = {MET: "met", NOT_MET: "not met", SLACK: "met with slack"}
_FASTER = "let the multiplier move faster (MULTIPLIER_LEARNING_RATE)"
_REMEDIES = {
    (RATE, NOT_MET): f"{TRAIN_LONGER}, or {_FASTER}",
    (RATE, SLACK): (
        f"the model does not use the rate that it may: {TRAIN_LONGER}, {_FASTER}, or give the "
        "model more latents (LATENT_WIDTH, NUM_LATENT_LEVELS)"
    ),
    (DISTORTION, NOT_MET): (
        f"the model cannot do it yet: {TRAIN_LONGER}, {_FASTER}, or give the model more latents or "
        "width"
    ),
    (DISTORTION, SLACK): f"the rate could be lower: {TRAIN_LONGER}, or {_FASTER}",
}


class ConstraintResult(NamedTuple):
    """A constraint of a run beside what an evaluation measured."""

    quantity: str  # "rate_nats_per_dim" or "distortion_mse"
    target: float
    num_levels: int | None  # of the prefix whose rate is bounded; None for all levels
    value: float | None  # None where it is not finite
    constraint_gap: float | None  # value - target
    relative_gap: float | None  # of the target
    status: str  # "met" within 3 %, "not met", or "slack": more than 3 % below the target
    multiplier: float | None  # None where it is not known
    unit: str | None = None  # in which the target was given; None for that of the quantity

    @property
    def finding(self) -> str:
        """What was found, with the numbers and their unit."""
        name = NAMES[self.quantity]
        if self.num_levels is not None:
            name += (
                f" of the first {self.num_levels} {'level' if self.num_levels == 1 else 'levels'}"
            )
        target = told_alone(self.quantity, self.target, self.unit)
        if self.value is None:
            return f"constraint not met: {name} is not finite, target {target}"
        text = (
            f"constraint {_WORDS[self.status]}: {name} "
            f"{told(self.quantity, self.value, self.unit)}, target {target}, gap "
            f"{told_gap(self.quantity, self.value, self.target, self.unit)}"
        )
        known = self.multiplier is not None
        return f"{text}, multiplier {self.multiplier:.3g}" if known else text

    @property
    def remedy(self) -> str:
        """What to try; empty where the constraint is met, or the value is not finite."""
        return "" if self.value is None else _REMEDIES.get((self.quantity, self.status), "")

    @property
    def statement(self) -> str:
        """The line of a record and of a log: what was found, and what to try."""
        return f"{self.finding}; {self.remedy}" if self.remedy else self.finding

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "ConstraintResult":
        """Returns the result that an entry of ``constraints`` in a record holds."""
        return cls(**{name: record[name] for name in cls._fields if name in record})


def constraint_results(
    constraints: Sequence[Mapping[str, Any]],
    record: Mapping[str, Any],
    image_shape: Sequence[int],
    multipliers: Sequence[float] | np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """Compares the constraints of a run with an evaluation.

    Args:
        constraints: list of dict with ``quantity``, ``target``, ``num_levels`` and, unless they
            are old, ``unit``, as in ``run.json``.
        record: an evaluation's record, see `LikelihoodEvaluation`.
        image_shape: (height, width, channels).
        multipliers: the multiplier of each constraint, or None.

    Returns:
        A list with one dict for each constraint, for JSON: the fields of `ConstraintResult` and
        its ``statement``. A value that is not finite is None, and not met.
    """
    results = []
    for index, constraint in enumerate(constraints):
        value, target = _value(constraint, record, image_shape), constraint["target"]
        gap = None if value is None else value - target
        result = ConstraintResult(
            quantity=constraint["quantity"],
            target=target,
            num_levels=constraint["num_levels"],
            value=value,
            constraint_gap=gap,
            relative_gap=None if gap is None else relative_gap(gap, target),
            status=_status(gap, target),
            multiplier=None if multipliers is None else float(multipliers[index]),
            unit=constraint.get("unit"),
        )
        results.append({**constraint, **result._asdict(), "statement": result.statement})
    return results


def _value(constraint, record, image_shape):
    if constraint["quantity"] == DISTORTION:
        return record["distortion_mse"]
    rates = record["rate_nats_per_level"][: constraint["num_levels"]]
    return None if None in rates else units.nats_per_dim(sum(rates), image_shape)


def _status(gap, target):
    if gap is None or gap > TOLERANCE * target:
        return NOT_MET
    return SLACK if gap < -TOLERANCE * target else MET
