"""Checks the records of a run directory, which somebody may have edited.

Each function returns what is wrong as the end of an error line, or None. Numbers have to be
numbers, and a list needs one entry per level.
"""

import math
import re
from typing import Any

from pcvae.checks import is_number_or_none
from pcvae.measure.constraints import MET, NOT_MET, SLACK
from pcvae.quantities import PSNR, QUANTITIES
from pcvae.wording import UNITS

# What every version of pcvae has written; newer fields may be missing.
_RUN_FIELDS = ("data", "batch_size")
_EVALUATION_MEANS = ("rate_bits_per_dim", "rate_nats_per_level", "distortion_mse", "psnr_db")
_LIKELIHOOD_MEANS = ("nll_bits_per_dim", "negative_elbo_bits_per_dim")
_CURVE_NUMBERS = ("rate_bits_per_dim", "distortion_mse", "psnr_db")
_STDERR = "_stderr"
_GROUP = re.compile(r"[\w-]{1,40}")
_KNOWN = {quantity.key for quantity in QUANTITIES}


def fault_of_run(record: Any) -> str | None:
    """Returns what is wrong with ``run.json``, or None."""
    if not isinstance(record, dict):
        return type(record).__name__
    missing = [name for name in _RUN_FIELDS if name not in record]
    if missing:
        return f"one without {', '.join(missing)}"
    free_bits = record.get("free_bits_nats_per_level", 0.0)
    if not _is_origin(record["data"]):
        return f"{_shown(record['data'])} (expected under data the arguments of data.from_spec)"
    for name in ("batch_size", "micro_batches"):
        if not _is_count(record.get(name, 1)):
            return f"{name} {_shown(record[name])}"
    if not is_number_or_none(free_bits) or free_bits is None or free_bits < 0.0:
        return f"free_bits_nats_per_level {_shown(free_bits)}"
    return _fault_of_constraints(record, _is_target)


def fault_of_evaluation(record: Any) -> str | None:
    """Returns what is wrong with ``results/evaluation.json``, or None."""
    if not isinstance(record, dict):
        return type(record).__name__
    has_likelihood = any(name in record for name in _LIKELIHOOD_MEANS)
    means = (*_EVALUATION_MEANS, *(_LIKELIHOOD_MEANS if has_likelihood else ()))
    needed = ["num_images", "split", *means, *(f"{name}{_STDERR}" for name in means)]
    missing = [name for name in needed if name not in record]
    if missing:
        return f"one without {', '.join(missing)}"
    if not _is_origin(record.get("data")):
        return f"data {_shown(record['data'])}"
    rates = record["rate_nats_per_level"]
    if not isinstance(rates, list) or not rates:
        return f"rate_nats_per_level {_shown(rates)}"
    shaped = "image_shape" in record
    if shaped != ("level_resolutions" in record):
        return "one with only one of image_shape and level_resolutions"
    if shaped and not _are_counts(record["image_shape"], 3):
        return f"image_shape {_shown(record['image_shape'])}"
    if shaped and not _are_counts(record["level_resolutions"], len(rates)):
        return f"level_resolutions {_shown(record['level_resolutions'])}"
    if "level_groups" in record and not _are_groups(record["level_groups"], len(rates)):
        return f"level_groups {_shown(record['level_groups'])}"
    for name, value in record.items():
        if not _fits(name, value, len(rates)):
            return f"{_shown(name, repr_of=str)} {_shown(value)}"
    return _fault_of_constraints(record, _is_result)


def fault_of_curve(rows: Any) -> str | None:
    """Returns what is wrong with ``results/rate_distortion.json``, or None."""
    if not isinstance(rows, list):
        return type(rows).__name__
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("decoder"), str):
            return f"a row {_shown(row)}"
        for name in _CURVE_NUMBERS:
            if name not in row or not _is_measured(name, row[name]):
                return f"a row with {name} {_shown(row.get(name))}"
            error = row.get(f"{name}{_STDERR}")
            if not _is_error(error):
                return f"a row with {name}{_STDERR} {_shown(error)}"
        if not isinstance(row.get("label", ""), str):
            return f"a row with label {_shown(row['label'])}"
    return None


def _is_origin(value):
    """Says whether a value is what says where images come from, or None."""
    return value is None or (isinstance(value, dict) and isinstance(value.get("spec"), str))


def _fits(name, value, num_levels):
    """Says whether an entry of an evaluation is of the kind that its name promises."""
    is_one = _is_error if name.endswith(_STDERR) else is_number_or_none
    if name == "num_images":
        return _is_count(value)
    if name == "split":
        return isinstance(value, str)
    if name.removesuffix(_STDERR).endswith("_per_level"):
        return isinstance(value, list) and len(value) == num_levels and all(map(is_one, value))
    if name.endswith("_reason"):
        return value is None or isinstance(value, str)
    if name in _KNOWN or name.endswith(_STDERR):
        return is_one(value) or (name == PSNR.key and value == math.inf)
    # What this version does not know is shown if it is a number, and ignored if not.
    return isinstance(value, bool) or not isinstance(value, int | float) or is_number_or_none(value)


def _fault_of_constraints(record, is_one):
    """Returns what is wrong with the constraints of a record, or None."""
    constraints = record.get("constraints", [])
    if not isinstance(constraints, list):
        return f"constraints {_shown(constraints)}"
    for constraint in constraints:
        if not isinstance(constraint, dict) or not is_one(constraint):
            return f"a constraint {_shown(constraint)}"
    return None


def _is_target(constraint):
    """Says whether a dict is a constraint of ``run.json``."""
    return (
        constraint.get("quantity") in tuple(UNITS)  # whatever type it is of
        and constraint.get("unit") in (None, *UNITS[constraint["quantity"]])
        and is_number_or_none(constraint.get("target"))
        and (constraint.get("target") or 0.0) > 0.0
        and _is_prefix(constraint)
    )


def _is_result(constraint):
    """Says whether a dict is a constraint of an evaluation."""
    measured = [constraint.get(name, "") for name in ("value", "constraint_gap", "relative_gap")]
    return (
        _is_target(constraint)
        and constraint.get("status") in (MET, NOT_MET, SLACK)
        and isinstance(constraint.get("statement"), str)
        and all(map(is_number_or_none, (*measured, constraint.get("multiplier", ""))))
        and len({value is None for value in measured}) == 1
    )


def _is_prefix(constraint):
    if "num_levels" not in constraint:
        return False
    return constraint["num_levels"] is None or _is_count(constraint["num_levels"])


def _is_measured(name, value):
    """Says whether a value is a number, or none; a PSNR may be infinite."""
    return is_number_or_none(value) or (name == PSNR.key and value == math.inf)


def _is_error(value):
    return is_number_or_none(value) and (value is None or value >= 0.0)


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**31


def _are_counts(values, length):
    return isinstance(values, list) and len(values) == length and all(map(_is_count, values))


def _are_groups(values, length):
    """Says whether a value is the group of each level: a resolution, or a name such as 00-09."""
    return (
        isinstance(values, list)
        and len(values) == length
        and all(_is_count(v) or (isinstance(v, str) and _GROUP.fullmatch(v)) for v in values)
    )


def _shown(value, repr_of=repr):
    """Returns a value as part of a line."""
    text = " ".join(repr_of(value).split())
    return text if len(text) <= 60 else f"{text[:60]}..."
