"""Lines and scalars of a run."""

import math
from types import SimpleNamespace

import pytest

from pcvae.models.description import groups_of
from pcvae.training import reports
from pcvae.training.loop import Window
from pcvae.wording import wording_of


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.4, "59s"), (65, "1m05s"), (3600, "1h00m"), (7265, "2h01m")]
)
def test_duration(seconds, text):
    assert reports.duration(seconds) == text


@pytest.mark.parametrize(
    ("quantity", "unit", "says"),
    [
        ("rate_nats_per_dim", None, "rate 0.3466 nats/dim (0.5 bits/dim) | mse 0.0400 |"),
        ("rate_nats_per_dim", "bits/dim", "rate 0.5 bits/dim (0.3466 nats/dim) | mse 0.0400 |"),
        ("distortion_mse", None, "rate 0.5000 bits/dim | distortion 0.04 mse (20.00 dB) |"),
        ("distortion_mse", "dB", "rate 0.5000 bits/dim | distortion 20.00 dB (0.04 mse) |"),
    ],
)
def test_a_line_tells_what_has_a_target_in_the_unit_of_the_target(quantity, unit, says):
    metrics = {
        "rate/total_bits_per_dim": 0.5,
        "distortion/mse": 0.04,
        "lagrange/multiplier": 2.0,
        "lagrange/constraint_gap": 0.01,
        "lagrange/target": 0.1,
        "update": SimpleNamespace(skipped_total=0),
    }
    window = Window(3, 10, metrics, 7.0, 0.0, 9.0)
    line = reports.progress_line(window, wording_of([{"quantity": quantity, "unit": unit}]))
    assert says in line
    assert "| gap +10.0% (multiplier 2) |" in line
    assert line.endswith("| 9s left, then an evaluation")
    assert reports.progress_line(window._replace(knows_the_end=True)).endswith("| 9s left")


def test_rates_of_resolutions_are_sums_over_levels():
    scalars = reports.rate_scalars([1.0, 2.0, 3.5], [1, 4, 4])
    assert scalars == {
        "rate/resolution_001": 1.0,
        "rate/resolution_004": 5.5,
        "rate/level_000_nats": 1.0,
        "rate/level_001_nats": 2.0,
        "rate/level_002_nats": 3.5,
    }


def test_of_many_levels_the_rates_of_groups_are_all():
    groups = groups_of(1000)
    scalars = reports.rate_scalars([0.5] * 1000, groups)
    assert len(scalars) == 10 and set(scalars.values()) == {50.0}
    assert list(scalars) == sorted(scalars)
    assert list(scalars)[:2] == ["rate/levels_000-099", "rate/levels_100-199"]


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
