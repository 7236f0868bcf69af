"""The rate of each level of an evaluation: rows of a table, and sums over resolutions."""

from collections.abc import Mapping, Sequence
from typing import Any

from pcvae import units
from pcvae.measure.health import level_remark
from pcvae.quantities import bounds_prefixes
from pcvae.tables import number_text


def level_rows(
    record: Mapping[str, Any],
    image_shape: Sequence[int],
    resolutions: Sequence[int],
    free_bits_nats_per_level: float = 0.0,
) -> list[dict[str, Any]]:
    """Returns a row of texts for each level of a record.

    Args:
        record: an evaluation, as in ``results/evaluation.json``.
        image_shape: (height, width, channels).
        resolutions: resolution of each level.
        free_bits_nats_per_level: those of the objective, which a rate may stand at.

    Returns:
        A list of dict: ``index``, ``resolution``, ``rate_nats`` and ``rate_bits_per_dim`` with
        their standard errors, ``share`` (% of the rate of all levels), ``prefix_bits_per_dim`` (of
        this level and all before it; "<=" where it is an upper bound) and ``remark``.
    """
    rates, errors = record["rate_nats_per_level"], record["rate_nats_per_level_stderr"]
    total, before, rows = sum(rate or 0.0 for rate in rates), 0.0, []
    bounds = bounds_prefixes(record)
    for index, (rate, error) in enumerate(zip(rates, errors, strict=True)):
        before += rate or 0.0
        known = rate is not None
        rows.append(
            {
                "index": index,
                "resolution": f"{resolutions[index]}x{resolutions[index]}",
                "rate_nats": number_text(rate, error),
                "rate_bits_per_dim": number_text(*_bits_per_dim(rate, error, image_shape), 5)
                if known
                else "",
                "share": f"{100.0 * rate / total:.1f}" if known and total else "",
                "prefix_bits_per_dim": ("<= " if bounds and index < len(rates) - 1 else "")
                + f"{units.bits_per_dim(before, image_shape):.5f}",
                "remark": "" if bounds and known else level_remark(rate, free_bits_nats_per_level),
            }
        )
    return rows


def _bits_per_dim(rate_nats, error_nats, image_shape):
    error = None if error_nats is None else units.bits_per_dim(error_nats, image_shape)
    return units.bits_per_dim(rate_nats, image_shape), error


def mean_rate_by_resolution(
    record: Mapping[str, Any], image_shape: Sequence[int], resolutions: Sequence[int]
) -> dict[int, dict[str, float]]:
    """Returns the mean rates of a record in the form of `rate_by_resolution`, without errors."""
    sums = {}
    for side, rate in zip(resolutions, record["rate_nats_per_level"], strict=True):
        sums[side] = sums.get(side, 0.0) + units.bits_per_dim(rate or 0.0, image_shape)
    return {side: {"rate_bits_per_dim": rate} for side, rate in sums.items()}
