"""The cells of a diffusion model against closed forms on Gaussian data."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae import units
from pcvae.distributions.gaussian import rate_nats
from pcvae.distributions.noise_schedule import NoiseSchedule, linear_schedule
from pcvae.layers.cells import Site
from pcvae.layers.cells.diffusion import DiffusionCell, PureNoiseCell

# The mean of any quadratic form of x_0 and the noise of x_t, both of unit variance, is its mean
# over these four points.
SIGNS = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])


def mean_rates(schedule, variance, upper=False):
    """Returns L_T, L_{T-1} ... L_1 on data N(0, variance), with the exact denoiser; in nats."""
    abar = tf.constant(schedule.abar, tf.float32)

    def exact(x, step):
        kept = tf.gather(abar, step - 1)[:, None]
        return tf.sqrt(kept) * variance * x / (kept * variance + 1.0 - kept)

    count = schedule.num_steps
    step = np.repeat(np.arange(count, 1, -1), len(SIGNS))
    signs = np.tile(SIGNS, (count - 1, 1))
    x_0 = np.sqrt(variance) * signs[:, :1]
    kept = schedule.abar[step - 1, None]
    x_t = np.sqrt(kept) * x_0 + np.sqrt(1.0 - kept) * signs[:, 1:]
    x_0, x_t = tf.constant(x_0, tf.float32), tf.constant(x_t, tf.float32)
    cell, first = DiffusionCell(schedule, exact, upper), PureNoiseCell(schedule)
    site = Site(tf.constant(count - step + 1, tf.int32), x_0.shape)
    prior, _ = cell.prior(x_t, site)
    rates = rate_nats(cell.posterior(x_t, prior, x_0, site), prior).numpy().astype(np.float64)
    start = x_0[: len(SIGNS)]
    of_start = rate_nats(first.posterior(start, None, start, site), first.prior(start, site)[0])
    return np.append(np.mean(of_start), rates.reshape(-1, len(SIGNS)).mean(axis=1))


def test_rates_and_distortions_on_gaussian_data_are_the_printed_ones():
    schedule = linear_schedule()
    bits = units.nats_to_bits(np.cumsum(mean_rates(schedule, 1.0)))
    distortions = 1.0 / (1.0 + schedule.snr[::-1])
    for num_steps, distortion, rate in [
        (501, 0.921413, 0.059054),
        (801, 0.340961, 0.777778),
        (901, 0.102982, 1.646881),
        (1000, 0.0001, 7.3146),
    ]:
        assert distortions[num_steps - 1] == pytest.approx(distortion, abs=6e-7)
        assert bits[num_steps - 1] == pytest.approx(rate, abs=1e-4 if rate > 7 else 2e-6)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("variance", [0.2, 3.0])
def test_rates_of_another_schedule_are_the_closed_forms(variance, upper):
    schedule = NoiseSchedule((0.02, 0.3, 0.1, 0.6))
    snr, beta, tilde = schedule.snr, schedule.betas, schedule.posterior_variances
    error = variance / (1.0 + snr[1:] * variance)
    rates = 0.5 * (snr[:-1] - snr[1:]) * error
    if upper:
        ratio = tilde[1:] / beta[1:]
        rates = 0.5 * (np.log(1.0 / ratio) + ratio - 1.0) + ratio * rates
    abar = schedule.abar[-1]
    start = 0.5 * (abar * variance + (1.0 - abar) - 1.0 - np.log(1.0 - abar))
    expected = np.append(start, rates[::-1])
    np.testing.assert_allclose(mean_rates(schedule, variance, upper), expected, rtol=1e-5)


def test_the_prior_term_of_the_published_schedule_is_negligible():
    """7.3e-6 bits per dimension where the mean square of the pixels is a quarter."""
    assert units.nats_to_bits(mean_rates(linear_schedule(), 0.25)[0]) == pytest.approx(
        7.3e-6, rel=0.01
    )
