"""What a run says about its constraints."""

import pytest

from pcvae.measure import ConstraintResult, constraint_results

SHAPE = (2, 2, 1)
RECORD = {"rate_nats_per_level": [0.4, 0.4, 3.2], "distortion_mse": 0.02}


def result(
    quantity="rate_nats_per_dim",
    target=1.0,
    num_levels=None,
    unit=None,
    record=RECORD,
    **arguments,
):
    constraint = {"quantity": quantity, "target": target, "num_levels": num_levels, "unit": unit}
    (found,) = constraint_results([constraint], record, SHAPE, **arguments)
    return found


def test_a_rate_is_that_of_its_prefix_in_nats_per_dimension():
    assert result()["value"] == pytest.approx(4.0 / 4)
    assert result(num_levels=2)["value"] == pytest.approx(0.8 / 4)
    assert result("distortion_mse", 0.02)["value"] == 0.02


@pytest.mark.parametrize(
    ("target", "status"),
    [(1.0, "met"), (1.0 / 1.029, "met"), (1.0 / 1.031, "not met"), (1.0 / 0.969, "slack")],
)
def test_met_is_within_three_percent(target, status):
    found = result(target=target)
    assert found["status"] == status
    assert found["constraint_gap"] == pytest.approx(1.0 - target)
    assert found["relative_gap"] == pytest.approx(1.0 / target - 1.0)


def test_statements_say_what_came_what_was_asked_for_and_what_to_try():
    met = result(multipliers=[0.25])
    assert met["multiplier"] == 0.25
    assert met["statement"] == (
        "constraint met: rate 1 nats/dim (1.443 bits/dim), target 1 nats/dim, gap +0 (+0.0%), "
        "multiplier 0.25"
    )
    missed = result("distortion_mse", 0.01)["statement"]
    assert missed.startswith("constraint not met: distortion 0.02 mse (23.01 dB), target 0.01")
    # The advice names what makes it possible, and what becomes of the schedule.
    for words in ("train longer", "--gin.TRAIN_STEPS", "--allow_config_change", "learning rate"):
        assert words in missed
    slack = result(target=2.0, num_levels=1)["statement"]
    assert "constraint met with slack: rate of the first 1 level 0.1 nats/dim (" in slack


def test_a_target_is_answered_in_the_unit_that_it_was_given_in():
    rate = result(target=2.0, unit="bits/dim")
    assert (
        "rate 1.443 bits/dim (1 nats/dim), target 2.885 bits/dim, gap -1.44 (-50.0%)"
        in (rate["statement"])
    )
    assert rate["target"] == 2.0  # the record keeps the unit of its name
    psnr = result("distortion_mse", 0.04, unit="dB")
    assert (
        "distortion 23.01 dB (0.02 mse), target 20.00 dB, gap +3.01 dB (mse -50.0%)"
        in (psnr["statement"])
    )
    again = ConstraintResult.of_record(psnr)
    assert again.statement == psnr["statement"]
    del psnr["unit"]  # as older versions wrote it
    assert "target 0.04 mse" in ConstraintResult.of_record(psnr).finding


def test_what_is_not_finite_is_not_met():
    record = {"rate_nats_per_level": [0.4, None, 3.2], "distortion_mse": None}
    for found in (result(record=record), result("distortion_mse", 0.1, record=record)):
        assert found["status"] == "not met"
        assert found["constraint_gap"] is None
        assert "not finite" in found["statement"]
    assert result(num_levels=1, record=record)["value"] == pytest.approx(0.1)
