"""How the bounds of a run are told: in the unit in which its targets were given.

Targets and gaps are kept in the unit that the name of a quantity says, nats per dimension or a mean
squared error. What people read is in the unit that they chose, with the other one beside it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from pcvae import units

RATE, DISTORTION = "rate_nats_per_dim", "distortion_mse"
NATS, BITS, MSE, DECIBELS = "nats/dim", "bits/dim", "mse", "dB"
# quantity -> the units in which it is told, the one that its name says first
UNITS = {RATE: (NATS, BITS), DISTORTION: (MSE, DECIBELS)}
NAMES = {RATE: "rate", DISTORTION: "distortion"}


def relative_gap(gap: Any, target: Any) -> Any:
    """Returns (value - target) / target, the gap of a constraint as every part of a run tells it.

    Args:
        gap: value - target, a number or a tensor.
        target: above 0; a number, or one for each element of the gap.
    """
    return gap / target


class Wording(NamedTuple):
    """The unit in which a run tells a rate, and that of a distortion."""

    rate: str = BITS
    distortion: str = MSE
    bounded: frozenset = frozenset()  # the quantities that have targets

    def unit(self, quantity: str) -> str:
        """Returns the unit of `RATE` or `DISTORTION`."""
        return self.rate if quantity == RATE else self.distortion


UNBOUNDED = Wording()


def wording_of(constraints: Iterable[Mapping[str, Any]]) -> Wording:
    """Returns how a run with some constraints tells its numbers.

    Args:
        constraints: dicts with ``quantity`` and ``unit``, as in ``run.json``; records of older
            versions have no unit, and are told in that of the quantity.
    """
    chosen = {
        item["quantity"]: item.get("unit") or UNITS[item["quantity"]][0] for item in constraints
    }
    return Wording(chosen.get(RATE, BITS), chosen.get(DISTORTION, MSE), frozenset(chosen))


def shared_rate_unit(runs: Iterable[Iterable[Mapping[str, Any]]]) -> str:
    """Returns the unit of the rates of several runs: of their targets, where those agree.

    Args:
        runs: the constraints of each; see `wording_of`.
    """
    wordings = map(wording_of, runs)
    chosen = {wording.rate for wording in wordings if RATE in wording.bounded}
    return chosen.pop() if len(chosen) == 1 else UNBOUNDED.rate


def converted(quantity: str, value: Any, unit: str) -> Any:
    """Returns a rate in nats per dimension, or a mean squared error, in another unit."""
    if unit == BITS:
        return units.nats_to_bits(value)
    if unit == DECIBELS:
        with np.errstate(divide="ignore"):  # no error is infinitely many decibels
            return units.psnr_db(np.asarray(value, np.float64)).numpy()
    return value


def from_bits(rate: Any) -> Any:
    """Returns nats per dimension of a rate that is logged, in bits per dimension."""
    return units.bits_to_nats(rate)


def told(quantity: str, value: float, unit: str | None = None) -> str:
    """Returns a number as text, with the other unit beside it: ``0.03 nats/dim (0.0433 bits/dim)``.

    Args:
        quantity: `RATE` or `DISTORTION`.
        value: nats per dimension, or a mean squared error on [-1, 1].
        unit: the one that comes first; None for that of the quantity.
    """
    (other,) = set(UNITS[quantity]) - {unit or UNITS[quantity][0]}
    return f"{told_alone(quantity, value, unit)} ({told_alone(quantity, value, other)})"


def told_alone(quantity: str, value: float, unit: str | None = None) -> str:
    """Returns a number as text in one unit: ``0.03 nats/dim``; see `told`."""
    unit = unit or UNITS[quantity][0]
    digits = ".2f" if unit == DECIBELS else ".4g"
    return f"{converted(quantity, value, unit):{digits}} {unit}"


def told_gap(quantity: str, value: float, target: float, unit: str | None = None) -> str:
    """Returns value - target as text in a unit, and relative to the target; see `told`."""
    unit = unit or UNITS[quantity][0]
    here, there = (float(converted(quantity, number, unit)) for number in (value, target))
    share = f"{relative_gap(value - target, target):+.1%}"
    if unit == DECIBELS:  # more of which is less of the error
        return f"{here - there:+.2f} {unit} (mse {share})"
    return f"{here - there:+.3g} ({share})"
