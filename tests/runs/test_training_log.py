"""The curves of a run in the unit of its targets."""

import math

import numpy as np
import pytest

from pcvae import quantities
from pcvae.runs.training_log import curve_panels

RATE, DISTORTION = "rate_nats_per_dim", "distortion_mse"
HISTORY = {
    "run": {
        "train": [
            {"step": 1, quantities.RATE.tag: 2.0, quantities.DISTORTION.tag: 0.4},
            {"step": 2, quantities.RATE.tag: None, quantities.DISTORTION.tag: 0.04},
        ],
        "eval": [],
    }
}


def panel(name, **constraint):
    constraints = [{"num_levels": None, **constraint}] if constraint else []
    (found,) = (item for item in curve_panels(HISTORY, constraints) if item.title == name)
    return found


@pytest.mark.parametrize(("unit", "factor"), [(None, math.log(2.0)), ("bits/dim", 1.0)])
def test_a_rate_is_drawn_beside_its_target(unit, factor):
    found = panel("rate", quantity=RATE, target=0.5 * math.log(2.0), unit=unit)
    assert found.label == (unit or "nats/dim")
    assert found.lines[0].values == [pytest.approx(2.0 * factor), None]
    assert found.target == pytest.approx(0.5 * factor)


def test_a_distortion_with_a_psnr_target_is_drawn_in_decibels():
    found = panel("distortion", quantity=DISTORTION, target=0.04, unit="dB")
    assert found.label == "dB"
    np.testing.assert_allclose(found.lines[0].values, [10.0, 20.0], rtol=1e-5)
    assert found.target == pytest.approx(20.0, rel=1e-5)
    assert not found.logarithmic


def test_what_has_no_target_keeps_the_unit_of_the_log():
    assert panel("rate").label == "bits/dim"
    assert panel("rate", quantity=DISTORTION, target=0.04, unit=None).label == "bits/dim"
    # Targets of prefixes are none of the whole.
    found = panel("rate", quantity=RATE, target=0.1, unit="bits/dim", num_levels=3)
    assert (found.label, found.target) == ("bits/dim", None)
