"""What has a target is told in the unit in which that was given, by everything that tells it."""

import math

import numpy as np
import pytest

from pcvae.objectives import ConstrainedDistortion, ConstrainedRate, ProgressiveCoding
from pcvae.wording import (
    BITS,
    DECIBELS,
    MSE,
    NATS,
    shared_rate_unit,
    told,
    told_gap,
    wording_of,
)


def test_a_number_stands_in_its_unit_with_the_other_one_beside_it():
    assert told("rate_nats_per_dim", math.log(2.0)) == "0.6931 nats/dim (1 bits/dim)"
    assert told("rate_nats_per_dim", math.log(2.0), BITS) == "1 bits/dim (0.6931 nats/dim)"
    assert told("distortion_mse", 0.04) == "0.04 mse (20.00 dB)"
    assert told("distortion_mse", 0.04, DECIBELS) == "20.00 dB (0.04 mse)"
    assert told("distortion_mse", 0.0, DECIBELS) == "inf dB (0 mse)"


def test_a_gap_is_that_of_its_unit_and_relative_to_the_target():
    assert told_gap("rate_nats_per_dim", 0.33, 0.3) == "+0.03 (+10.0%)"
    assert told_gap("rate_nats_per_dim", 2 * math.log(2.0), math.log(2.0), BITS) == "+1 (+100.0%)"
    # Ten times the error are ten decibels less.
    assert told_gap("distortion_mse", 0.4, 0.04, DECIBELS) == "-10.00 dB (mse +900.0%)"


@pytest.mark.parametrize(
    ("objective", "rate", "distortion"),
    [
        (ConstrainedRate(rate_target_nats_per_dim=0.1), NATS, MSE),
        (ConstrainedRate(rate_target_bits_per_dim=0.1), BITS, MSE),
        (ConstrainedDistortion(distortion_target_mse=0.1), BITS, MSE),
        (ConstrainedDistortion(distortion_target_psnr_db=20.0), BITS, DECIBELS),
        (ProgressiveCoding(rate_targets_bits_per_dim=[0.1, 0.2]), BITS, MSE),
        (ProgressiveCoding(rate_targets_nats_per_dim=[0.1, 0.2]), NATS, MSE),
    ],
)
def test_the_unit_is_the_one_that_the_target_was_given_in(objective, rate, distortion):
    quantity = "distortion_mse" if isinstance(objective, ConstrainedDistortion) else None
    bound = {"quantity": quantity or "rate_nats_per_dim", "unit": objective.unit}
    wording = wording_of([bound])
    assert (wording.rate, wording.distortion) == (rate, distortion)
    assert wording.bounded == {bound["quantity"]}


def test_records_of_older_versions_are_told_in_the_unit_of_the_quantity():
    assert wording_of([{"quantity": "rate_nats_per_dim", "target": 0.1}]).rate == NATS
    assert wording_of([]).rate == BITS
    np.testing.assert_equal(wording_of([]).bounded, frozenset())


def test_runs_with_rate_targets_in_one_unit_share_it():
    nats, bits = ([{"quantity": "rate_nats_per_dim", "unit": unit}] for unit in (NATS, BITS))
    assert shared_rate_unit([nats, [], [{"quantity": "distortion_mse", "unit": MSE}]]) == NATS
    assert shared_rate_unit([nats, bits]) == shared_rate_unit([[]]) == BITS
