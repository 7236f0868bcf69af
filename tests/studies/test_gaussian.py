"""Linear hierarchies on a Gaussian source: exact numbers of prefixes, and the paper's argument."""

import json

import numpy as np
import pytest
import tensorflow as tf

from pcvae.distributions.noise import seeded_noise
from pcvae.measure import gaussian_source
from pcvae.studies import gaussian

VARIANCES = gaussian_source.harmonic_variances(6)


def hierarchy(num_levels=3, seed=1):
    made = gaussian.LinearHierarchy(VARIANCES, num_levels, seed)
    generator = np.random.default_rng(seed)
    for cell in made.cells:
        cell.log_std.assign(0.3 * generator.normal(size=len(VARIANCES)))
    return made


def test_the_exact_rates_and_distortions_are_those_of_many_draws():
    made, count = hierarchy(), 200_000
    noise = seeded_noise(0)
    vectors = np.sqrt(VARIANCES) * np.random.default_rng(2).normal(size=(count, len(VARIANCES)))
    vectors = tf.constant(vectors, tf.float32)
    rates, distortions = made.rates_and_distortions(vectors, noise)
    points = made.prefix_points()
    expected = np.mean(rates, axis=0)
    np.testing.assert_allclose([p.rate_nats_per_dim for p in points], expected, rtol=0.01)
    # The best decoder of a prefix is at least as good as the hierarchy's own path.
    assert (np.array([p.distortion_mse for p in points]) <= np.mean(distortions, 0) * 1.001).all()


def test_one_level_that_codes_a_component_alone_lies_on_its_curve():
    """q(z | x) of the right gain, scaled to variance 1: R = ln(lam / D) / 2 of that component."""
    made = gaussian.LinearHierarchy(VARIANCES, 1, 0)
    (cell,), signal = made.cells, 4.0
    analysis, log_std = np.zeros((6, 6)), np.zeros(6)
    analysis[0, 0] = np.sqrt(signal / (1.0 + signal) / VARIANCES[0])
    log_std[0] = -0.5 * np.log(1.0 + signal)
    cell.analysis.assign(analysis)
    cell.log_std.assign(log_std)
    (point,) = made.prefix_points()
    distortion = (VARIANCES[0] / (1.0 + signal) + VARIANCES[1:].sum()) / 6
    assert point.distortion_mse == pytest.approx(distortion, rel=1e-6)
    assert point.rate_nats_per_dim == pytest.approx(0.5 * np.log(1.0 + signal) / 6, rel=1e-6)


@pytest.mark.slow
def test_constrained_prefixes_lie_between_shannon_and_the_diffusion(tmp_path, capsys):
    record = gaussian.gaussian_study(folder=tmp_path, num_dims=16, steps=900, batch_size=64)
    rows = [row for row in record["rows"] if row["code"] == gaussian.CONSTRAINED]
    assert len(rows) == 5
    # No code is below Shannon's curve.
    assert min(row["rate_over_shannon"] for row in record["rows"]) > 1.0 - 1e-9
    for row in rows[:4]:  # at the last point the two curves are close
        assert row["rate_over_diffusion"] < 0.97
    # The ELBO has no reason to put the best bits first.
    elbo = [row for row in record["rows"] if row["code"] == gaussian.ELBO]
    assert elbo[0]["rate_over_diffusion"] > 1.05
    assert json.loads((tmp_path / "results" / "gaussian.json").read_text()) == record
    assert f"{rows[0]['rate_over_shannon']:.3f}" in capsys.readouterr().out
