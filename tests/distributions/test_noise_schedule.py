"""Constants of the published schedule, identities of any, and what is refused."""

import numpy as np
import pytest

from pcvae.distributions.noise_schedule import NoiseSchedule, linear_schedule, make_schedule
from pcvae.errors import UserError

OTHER = (0.03, 0.2, 0.01, 0.5)  # no schedule that anybody has published


def test_constants_of_the_published_schedule():
    schedule = linear_schedule()
    assert schedule.num_steps == 1000
    assert schedule.abar[-1] == pytest.approx(4.0358e-5, rel=1e-4)
    assert schedule.snr[0] == pytest.approx(9999.0, rel=1e-9)


@pytest.mark.parametrize(
    "schedule", [linear_schedule(40), make_schedule(9, "log_snr"), NoiseSchedule(OTHER)]
)
def test_the_posterior_of_a_step_undoes_the_step(schedule):
    """Its mean and variance, averaged over x_t, are those of q(x_{t-1} | x_0)."""
    abar = np.cumprod(1.0 - schedule.betas)
    before = np.append(1.0, abar[:-1])
    np.testing.assert_allclose(schedule.abar, abar, rtol=1e-12)
    mean = schedule.image_weights + schedule.state_weights * np.sqrt(abar)
    np.testing.assert_allclose(mean, np.sqrt(before), rtol=1e-12)
    spread = np.square(schedule.state_weights) * (1.0 - abar) + schedule.posterior_variances
    np.testing.assert_allclose(spread, 1.0 - before, rtol=1e-10, atol=1e-12)


def test_the_logarithm_of_the_snr_falls_linearly_between_the_published_ends():
    ends, schedule = linear_schedule().snr[[0, -1]], make_schedule(30, "log_snr")
    np.testing.assert_allclose(np.log(schedule.snr), np.linspace(*np.log(ends), 30), rtol=1e-9)


@pytest.mark.parametrize("upper", [False, True])
def test_the_rate_of_an_error_is_the_divergence_of_two_gaussians(upper):
    schedule, error = NoiseSchedule(OTHER), 0.3
    beta, tilde = schedule.betas[1:], schedule.posterior_variances[1:]
    snr = schedule.snr
    expected = 0.5 * (snr[:-1] - snr[1:]) * error
    if upper:
        ratio = tilde / beta
        expected = 0.5 * (np.log(beta / tilde) + ratio - 1.0) + ratio * expected
    least, slope = schedule.rate_of_mse(upper)
    np.testing.assert_allclose(least + slope * error, expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_levels": 0}, "num_levels: expected an integer of at least 1, got 0"),
        ({"num_levels": 20}, r"last_beta: .*below 1, got 1\.0 for num_levels=20: give another"),
        ({"num_levels": 5, "first_beta": 0.1, "last_beta": "x"}, "last_beta: .* got 'x'"),
        ({"betas": [0.1, 1.5]}, r"betas: expected .* below 1 for each step, got 1\.5 for step 2"),
        ({"betas": 0.1}, r"betas: expected .* got 0\.1"),
        ({"betas": []}, r"betas: expected .* got \[\]"),
        ({"betas": [0.1], "num_levels": 2}, "betas: expected one for each of num_levels=2, got 1"),
        ({"betas": [0.1], "last_beta": 0.2}, "first_beta, last_beta: expected them with schedule="),
        ({"schedule": "log_snr", "first_beta": 0.2}, "first_beta, last_beta: expected them with"),
        ({"schedule": "log_snr", "num_levels": 1}, "num_levels: expected an integer of at least 2"),
        ({"schedule": "cosine"}, "schedule: expected one of linear, log_snr, got 'cosine'"),
    ],
)
def test_a_schedule_that_is_none_is_refused(arguments, message):
    with pytest.raises(UserError, match=message) as raised:
        make_schedule(**arguments)
    assert "\n" not in str(raised.value)
