"""The curves of a Gaussian source against numbers of the literature and against each other."""

import numpy as np
import pytest

from pcvae.measure import gaussian_source

# R of a diffusion over Shannon's at its distortion, for variances in proportion to 1/i, n = 256.
RATIOS = {0.03: 2.60, 0.1: 2.00, 0.3: 1.58, 1.0: 1.24, 3.0: 1.06, 10.0: 1.005}
VARIANCES = gaussian_source.harmonic_variances(256)


@pytest.mark.parametrize("signal_to_noise", RATIOS)
def test_a_diffusion_pays_more_than_shannon_where_variances_differ(signal_to_noise):
    rate, distortion = gaussian_source.diffusion_point(VARIANCES, signal_to_noise)
    ratio = rate / gaussian_source.shannon_rate(VARIANCES, distortion)
    assert ratio == pytest.approx(RATIOS[signal_to_noise], abs=0.005)


@pytest.mark.parametrize("signal_to_noise", [0.1, 1.0, 50.0])
def test_on_equal_variances_a_diffusion_is_optimal(signal_to_noise):
    variances = np.full(7, 0.3)
    rate, distortion = gaussian_source.diffusion_point(variances, signal_to_noise)
    assert gaussian_source.shannon_rate(variances, distortion) == pytest.approx(rate, rel=1e-9)


def test_the_rate_of_one_component_is_the_logarithm_of_its_variance_over_the_distortion():
    variances = np.array([4.0, 1.0])
    assert gaussian_source.shannon_rate(variances, 0.5) == pytest.approx(0.5 * np.log(4.0))
    # Above its variance the smaller component costs nothing: 2 D - 1 is left to the other.
    assert gaussian_source.shannon_rate(variances, 1.5) == pytest.approx(0.25 * np.log(2.0))
    assert gaussian_source.shannon_rate(variances, 2.5) == 0.0


@pytest.mark.parametrize("distortion", [0.05, 0.3, 0.9])
def test_the_inverse_of_a_diffusions_curve(distortion):
    rate = gaussian_source.diffusion_rate(VARIANCES, distortion)
    assert rate > gaussian_source.shannon_rate(VARIANCES, distortion)
    ratios = np.geomspace(1e-4, 1e3, 4000)
    points = [gaussian_source.diffusion_point(VARIANCES, ratio) for ratio in ratios]
    rates, distortions = np.array(points).T
    assert rate == pytest.approx(np.interp(-distortion, -distortions, rates), rel=1e-4)
    assert gaussian_source.diffusion_rate(VARIANCES, 1.0) == 0.0
