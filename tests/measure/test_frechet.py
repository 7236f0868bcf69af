"""Frechet and kernel distance against closed forms, definitions, scipy and POT."""

import itertools
import os

import numpy as np
import pytest
import scipy.linalg

from pcvae.errors import UserError
from pcvae.measure.frechet import (
    FeatureStatistics,
    frechet_distance,
    gaussian_frechet_distance,
    kernel_distance,
    squared_mmd,
    validity,
)

for _backend in ("TENSORFLOW", "PYTORCH", "JAX", "CUPY"):
    os.environ[f"POT_BACKEND_DISABLE_{_backend}"] = "1"
import ot  # noqa: E402


def correlated(num_images, num_features=6, shift=0.0, scale=1.0, seed=0):
    """Features with a mean, a covariance and a common offset."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).standard_normal((num_features, num_features))
    noise = rng.standard_normal((num_images, num_features))
    return (3.0 + shift + scale * noise @ mixing).astype(np.float32)


def statistics_of(features):
    return FeatureStatistics.of(features)


def test_batches_and_replicas_add_up_exactly():
    features = correlated(101)
    batched, replicas = FeatureStatistics(6), [FeatureStatistics(6), FeatureStatistics(6)]
    for index, batch in enumerate(np.array_split(features, 9)):  # ragged
        batched.update(batch)
        replicas[index % 2].update(batch)
    for statistics in (batched, replicas[0] + replicas[1]):
        assert statistics.count == 101
        np.testing.assert_allclose(statistics.mean, features.astype(float).mean(0), rtol=1e-13)
        expected = np.cov(features.astype(float), rowvar=False)
        np.testing.assert_allclose(statistics.covariance, expected, rtol=1e-11, atol=1e-12)


def test_equals_the_closed_form_with_scipys_matrix_root():
    first, second = correlated(500), correlated(400, shift=0.3, scale=1.2, seed=1)
    a, b = statistics_of(first), statistics_of(second)
    assert frechet_distance(first, b) == frechet_distance(a, second) == frechet_distance(a, b)
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance).real
    expected = ((a.mean - b.mean) ** 2).sum()
    expected += np.trace(a.covariance + b.covariance - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_equals_the_wasserstein_distance_of_pot():
    """A second implementation, of a maintained package, on the same features."""
    a, b = statistics_of(correlated(300)), statistics_of(correlated(250, shift=1.0, seed=2))
    distance = ot.gaussian.bures_wasserstein_distance(a.mean, b.mean, a.covariance, b.covariance)
    assert frechet_distance(a, b) == pytest.approx(distance**2, rel=1e-9)


def test_known_gaussians():
    """Commuting covariances: the squared difference of the standard deviations, axis by axis."""
    rotation = scipy.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    first, second = np.array([4.0, 1.0, 0.0]), np.array([1.0, 9.0, 2.0])
    distance = gaussian_frechet_distance(
        np.zeros(3), rotation * first @ rotation.T, np.ones(3), rotation * second @ rotation.T
    )
    assert distance == pytest.approx(3.0 + 1.0 + 4.0 + 2.0, rel=1e-12)
    near = gaussian_frechet_distance([0.0], np.array([[1.0]]), [0.0], np.array([[1.0 + 2e-6]]))
    assert near == pytest.approx(1e-12, rel=1e-3)


def test_a_set_with_itself_a_shifted_copy_and_two_halves():
    features = correlated(2000)
    whole = statistics_of(features)
    assert frechet_distance(whole, whole) == pytest.approx(0.0, abs=1e-11)
    shifted = statistics_of(features.astype(float) + 0.25)
    assert frechet_distance(whole, shifted) == pytest.approx(6 * 0.25**2, rel=1e-9)
    halves = frechet_distance(*map(statistics_of, np.array_split(features, 2)))
    assert 0.0 < halves < 0.1
    other = statistics_of(correlated(1000, seed=5, shift=0.25))
    assert frechet_distance(whole, other) == pytest.approx(frechet_distance(other, whole), rel=1e-9)


def test_singular_covariances_are_exact_and_named():
    features = correlated(4, num_features=32)
    few, many = statistics_of(features), statistics_of(correlated(200, num_features=32, seed=1))
    assert frechet_distance(few, few) == pytest.approx(0.0, abs=1e-10)
    gram = features.astype(float) - features.astype(float).mean(0)
    other = many.covariance
    nuclear = np.linalg.svd(gram @ scipy.linalg.cholesky(other, lower=True) / 3**0.5)[1].sum()
    expected = ((few.mean - many.mean) ** 2).sum() + np.trace(few.covariance + other) - 2 * nuclear
    assert frechet_distance(few, many) == pytest.approx(expected, rel=1e-9)
    assert validity({"samples": 4, "reference": 200}, 32) == [
        "covariance of the samples is singular: 4 images, 32 features; compare only with equal N"
    ]
    # n images span n - 1 directions.
    assert len(validity({"samples": 32, "reference": 33}, 32)) == 1


def test_two_images_are_enough_and_one_is_not():
    two, one = statistics_of(correlated(2)), statistics_of(correlated(1))
    # Two images span one direction u, and the trace of the root is sqrt(u^T B u).
    other, (a, b) = statistics_of(correlated(9, seed=1)), correlated(2).astype(float)
    u = (a - b) / 2**0.5
    expected = ((two.mean - other.mean) ** 2).sum() + u @ u + np.trace(other.covariance)
    expected -= 2 * np.sqrt(u @ other.covariance @ u)
    assert frechet_distance(two, other) == pytest.approx(expected, rel=1e-9)
    for pair in ((one, two), (two, one)):
        with pytest.raises(UserError, match="2 images or more"):
            frechet_distance(*pair)
    with pytest.raises(UserError, match="2 images or more"):
        kernel_distance(correlated(1), correlated(9))
    with pytest.raises(UserError, match="same features"):
        frechet_distance(two, statistics_of(correlated(5, num_features=3)))
    with pytest.raises(UserError, match=r"got the shape \[4\]"):
        frechet_distance(two, np.zeros(4))


def test_features_that_are_no_finite_numbers_are_named():
    features = correlated(9)
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(UserError, match="NaN or infinity"):
            distance(np.where(np.eye(*features.shape) > 0, np.nan, features), features)
        with pytest.raises(UserError, match="expected numbers"):
            distance(features, [["a"], ["b"]])
        with pytest.raises(UserError, match="same features"):
            distance(features, features[:, :-1])


def test_kernel_distance_of_a_subset_is_its_definition_pair_by_pair():
    first, second = correlated(40).astype(float), correlated(30, shift=0.2, seed=1).astype(float)

    def mean_kernel(pairs):
        return np.mean(
            [(sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3 for x, y in pairs]
        )

    within = [mean_kernel(itertools.permutations(x, 2)) for x in (first, second)]
    between = mean_kernel(itertools.product(first, second))
    assert squared_mmd(first, second) == pytest.approx(sum(within) - 2 * between, rel=1e-9)


def test_kernel_distance_is_unbiased_with_an_honest_error():
    """Between sets of one law it is zero on average, and its error is the spread of repetitions."""
    rng = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(200):
        first, second = rng.standard_normal((60, 4)), rng.standard_normal((80, 4))
        value, error = kernel_distance(first, second)
        values.append(value)
        errors.append(error)
    assert abs(np.mean(values)) < 4 * np.std(values) / 200**0.5
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(values), rel=0.2)
    far, error = kernel_distance(first + 1.0, second)
    assert far > max(values)
    assert abs(far - squared_mmd(first + 1.0, second)) < 4 * error
    assert kernel_distance(first[:2], second[:2])[1] is None
