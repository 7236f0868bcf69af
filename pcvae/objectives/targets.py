"""Targets of constraints as a user gives them: checked, in nats per dimension or as an mse."""

import itertools
from collections.abc import Sequence

from pcvae import units
from pcvae.checks import check_number
from pcvae.errors import UserError
from pcvae.wording import BITS, DECIBELS

# Beyond any rate or distortion of an image, and within what float32 can divide by.
MIN_TARGET, MAX_TARGET = 1e-9, 1e9
MAX_PSNR_DB = 90.0  # mse 4e-9; rounding to 8 bits alone costs more


def rate_target(**targets: float | None) -> tuple[float, str | None]:
    """Returns nats per dimension, and the unit if it was given in another one.

    Args:
        **targets: rate_target_nats_per_dim and rate_target_bits_per_dim, one of them not None.

    Raises:
        UserError: none, both, or a number that means nothing.
    """
    name, target = _given(targets)
    target = _checked(name, target)
    return (units.bits_to_nats(target), BITS) if "bits" in name else (target, None)


def rate_targets(**targets: Sequence[float] | None) -> tuple[tuple[float, ...], str | None]:
    """Returns nats per dimension for each prefix; as `rate_target`, of growing numbers."""
    name, numbers_given = _given(targets)
    if not isinstance(numbers_given, list | tuple) or not numbers_given:
        raise UserError(f"{name}: expected a list of numbers, got {numbers_given!r}")
    checked = [_checked(name, target) for target in numbers_given]
    if any(later <= earlier for earlier, later in itertools.pairwise(checked)):
        raise UserError(
            f"{name}: expected growing numbers, the rates of longer and longer prefixes; "
            f"got {checked}"
        )
    if "bits" in name:
        return tuple(map(units.bits_to_nats, checked)), BITS
    return tuple(checked), None


def distortion_target(**targets: float | None) -> tuple[float, str | None]:
    """Returns a mean squared error on [-1, 1], and the unit if it was given in another one.

    Args:
        **targets: distortion_target_mse and distortion_target_psnr_db, one of them not None.

    Raises:
        UserError: none, both, or a number that means nothing.
    """
    name, target = _given(targets)
    checked = _checked(name, target)
    if "psnr" not in name:
        return checked, None
    if checked > MAX_PSNR_DB:
        raise UserError(f"{name}: expected a number from 0 to {MAX_PSNR_DB:g}, got {target!r}")
    return units.mse_from_psnr_db(checked), DECIBELS


def _given(targets):
    """Returns name and value of the one target that is given."""
    given = [(name, value) for name, value in targets.items() if value is not None]
    if len(given) != 1:
        got = " and ".join(f"{name}={value}" for name, value in given)
        got = f"both, {got}: set the other to None" if given else "none"
        raise UserError(f"expected {' or '.join(targets)}, one of them; got {got}")
    return given[0]


def _checked(name, value):
    """Returns a target as a float.

    Raises:
        UserError: it is not a finite number above 0.
    """
    check_number(name, value, 0.0, above=True)
    if not MIN_TARGET <= value <= MAX_TARGET:
        raise UserError(
            f"{name}: expected a number from {MIN_TARGET:g} to {MAX_TARGET:g}, got {value!r}"
        )
    return float(value)
