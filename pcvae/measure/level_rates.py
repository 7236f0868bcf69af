"""The rate of each level of an evaluation: rows of a table, and sums over groups of levels."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from pcvae import units
from pcvae.measure.health import level_remark
from pcvae.quantities import MANY_LEVELS, bounds_prefixes, group_name
from pcvae.tables import number_text

_PER_DIM = {"bits_per_dim": units.bits_per_dim, "nats_per_dim": units.nats_per_dim}


def level_rows(
    record: Mapping[str, Any],
    image_shape: Sequence[int],
    groups: Sequence[int | str],
    free_bits_nats_per_level: float = 0.0,
) -> list[dict[str, Any]]:
    """Returns a row of texts for each level of a record, of 100 or more for each group of them.

    Args:
        record: an evaluation, as in ``results/evaluation.json``.
        image_shape: (height, width, channels).
        groups: group of each level, its resolution or a name.
        free_bits_nats_per_level: those of the objective, which a rate may stand at.

    Returns:
        A list of dict: ``index``, ``resolution`` (or the name of the group), ``rate_nats``,
        ``rate_bits_per_dim`` and ``rate_nats_per_dim`` with their standard errors, ``share`` (% of
        the rate of all levels), ``prefix_bits_per_dim`` and ``prefix_nats_per_dim`` (of this level
        and all before it; "<=" where it is an upper bound) and ``remark``.
    """
    rates, errors = record["rate_nats_per_level"], record["rate_nats_per_level_stderr"]
    total, before, rows = sum(rate or 0.0 for rate in rates), 0.0, []
    levels = list(zip(map(str, range(len(rates))), groups, rates, errors, strict=True))
    is_whole = len(rates) >= MANY_LEVELS
    shown = _of_groups(levels) if is_whole else levels
    bounds = bounds_prefixes(record)
    for place, (index, group, rate, error) in enumerate(shown, 1):
        before += rate or 0.0
        known = rate is not None
        at_most = "<= " if bounds and place < len(shown) else ""
        per_dim = {}
        for unit, convert in _PER_DIM.items():
            spread = None if error is None else convert(error, image_shape)
            own = number_text(convert(rate, image_shape), spread, 5) if known else ""
            per_dim[f"rate_{unit}"] = own
            per_dim[f"prefix_{unit}"] = f"{at_most}{convert(before, image_shape):.5f}"
        rows.append(
            {
                "index": index,
                "resolution": group_name(group),
                "rate_nats": number_text(rate, error),
                **per_dim,
                "share": f"{100.0 * rate / total:.1f}" if known and total else "",
                "remark": ""
                if is_whole or (bounds and known)
                else level_remark(rate, free_bits_nats_per_level),
            }
        )
    return rows


def _of_groups(levels):
    """Returns the sums of rates over runs of levels of one group; their errors are not known."""
    sums = []
    for group, run in itertools.groupby(levels, lambda level: level[1]):
        indices, _, rates, _ = zip(*run, strict=True)
        whole = None if None in rates else sum(rates)
        sums.append((f"{indices[0]}-{indices[-1]}", group, whole, None))
    return sums


def mean_rate_by_resolution(
    record: Mapping[str, Any], image_shape: Sequence[int], groups: Sequence[int | str]
) -> dict[int | str, dict[str, float]]:
    """Returns the mean rates of a record in the form of `rate_by_resolution`, without errors."""
    sums = {}
    for side, rate in zip(groups, record["rate_nats_per_level"], strict=True):
        sums[side] = sums.get(side, 0.0) + units.bits_per_dim(rate or 0.0, image_shape)
    return {side: {"rate_bits_per_dim": rate} for side, rate in sums.items()}
