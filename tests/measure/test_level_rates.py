"""Rates of levels add up, over prefixes and over resolutions."""

import math

import pytest

from pcvae.measure import level_rows, mean_rate_by_resolution

SHAPE = (4, 4, 3)
RECORD = {
    "rate_nats_per_level": [48 * math.log(2.0), 24 * math.log(2.0), 0.001, None],
    "rate_nats_per_level_stderr": [0.5, None, None, None],
}
RESOLUTIONS = [1, 4, 4, 4]


def test_rows():
    rows = level_rows(RECORD, SHAPE, RESOLUTIONS)
    first = "1.00000 +- 0.01503"  # 0.5 nats in 48 dimensions
    assert [row["rate_bits_per_dim"] for row in rows] == [first, "0.50000", "0.00003", ""]
    assert [row["prefix_bits_per_dim"] for row in rows] == ["1.00000", "1.50000", *["1.50003"] * 2]
    assert [row["rate_nats_per_dim"] for row in rows][1:3] == ["0.34657", "0.00002"]  # times ln 2
    assert [row["prefix_nats_per_dim"] for row in rows][:2] == ["0.69315", "1.03972"]
    assert [row["share"] for row in rows] == ["66.7", "33.3", "0.0", ""]
    assert [row["remark"] for row in rows] == ["", "", "dead", "not finite"]
    assert rows[0]["rate_nats"] == "33.2711 +- 0.5000"
    assert rows[1]["resolution"] == "4x4"


def test_of_many_levels_a_row_is_a_group():
    rates = [24 * math.log(2.0) / 50] * 100
    record = {"rate_nats_per_level": rates, "rate_nats_per_level_stderr": [0.1] * 100}
    rows = level_rows(record, SHAPE, ["00-49"] * 50 + ["50-99"] * 50)
    assert [(row["index"], row["resolution"]) for row in rows] == [
        ("0-49", "00-49"),
        ("50-99", "50-99"),
    ]
    assert [row["prefix_bits_per_dim"] for row in rows] == ["0.50000", "1.00000"]
    assert [(row["rate_bits_per_dim"], row["share"]) for row in rows] == [("0.50000", "50.0")] * 2


def test_a_level_at_the_floor():
    rows = level_rows(RECORD, SHAPE, RESOLUTIONS, free_bits_nats_per_level=17.0)
    assert [row["remark"] for row in rows][:3] == ["", "at the free-bits floor", "dead"]


def test_sums_over_resolutions():
    by_side = mean_rate_by_resolution(RECORD, SHAPE, RESOLUTIONS)
    assert by_side[1]["rate_bits_per_dim"] == pytest.approx(1.0)
    assert by_side[4]["rate_bits_per_dim"] == pytest.approx(0.5, abs=1e-4)
