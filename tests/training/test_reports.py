"""Lines and scalars of a run."""

import math

import pytest

from pcvae.training import reports


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.4, "59s"), (65, "1m05s"), (3600, "1h00m"), (7265, "2h01m")]
)
def test_duration(seconds, text):
    assert reports.duration(seconds) == text


def test_rates_of_resolutions_are_sums_over_levels():
    scalars = reports.rate_scalars([1.0, 2.0, 3.5], [1, 4, 4])
    assert scalars == {
        "rate/resolution_001": 1.0,
        "rate/resolution_004": 5.5,
        "rate/level_000_nats": 1.0,
        "rate/level_001_nats": 2.0,
        "rate/level_002_nats": 3.5,
    }


def test_evaluation_scalars_keep_what_is_not_finite():
    record = {
        "rate_bits_per_dim": None,
        "distortion_mse": 0.5,
        "rate_nats_per_level": [1.0],
    }
    scalars = reports.evaluation_scalars(record, [4])
    assert math.isnan(scalars["rate/total_bits_per_dim"])
    assert scalars["distortion/mse"] == 0.5
    assert "nll/bits_per_dim" not in scalars
