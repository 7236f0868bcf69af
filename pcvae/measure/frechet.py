"""Distances between two sets of images by their features: Frechet and kernel distance.

Frechet distance: Heusel et al. 2017 (arXiv 1706.08500, section 3); kernel distance: Binkowski et
al. 2018 (arXiv 1801.01401, section 4). Nothing here knows where the features come from.
"""

from collections.abc import Mapping
from typing import Self

import numpy as np

from pcvae.errors import UserError

# Ours: the kernel distance takes at most as many disjoint subsets of at most that size.
NUM_SUBSETS = 10
MAX_SUBSET_SIZE = 1000


class FeatureStatistics:
    """Count, sum and sum of outer products of features, in float64.

    They add up exactly: over batches by `update`, over replicas or processes by ``+``. An average
    of the covariances of batches would not be the covariance of the whole.
    """

    def __init__(self, num_features: int) -> None:
        """Starts with no image.

        Args:
            num_features: number of features of an image.
        """
        self.count = 0
        self.sum = np.zeros(num_features)
        self.outer = np.zeros((num_features, num_features))

    @classmethod
    def of(cls, features: np.ndarray) -> Self:
        """Returns the statistics of features [num_images, num_features]."""
        features = np.asarray(features)
        return cls(features.shape[-1]).update(features)

    @property
    def num_features(self) -> int:
        """Number of features of an image."""
        return len(self.sum)

    def update(self, features: np.ndarray) -> Self:
        """Adds the features of a batch, [batch, num_features]; returns itself.

        Raises:
            ValueError: the shape differs.
        """
        features = np.asarray(features, np.float64)
        if features.ndim != 2 or features.shape[1] != self.num_features:
            raise ValueError(
                f"expected features [batch, {self.num_features}], got {features.shape}"
            )
        self.count += len(features)
        self.sum += features.sum(axis=0)
        self.outer += features.T @ features
        return self

    def __add__(self, other):
        """Returns the statistics of both sets together."""
        both = FeatureStatistics(self.num_features)
        both.count = self.count + other.count
        both.sum = self.sum + other.sum
        both.outer = self.outer + other.outer
        return both

    @property
    def mean(self) -> np.ndarray:
        """Mean, float64 [num_features]."""
        return self.sum / self.count

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased covariance, float64 [num_features, num_features].

        Raises:
            UserError: there are fewer than two images.
        """
        _check_count(self.count)
        centred = self.outer - self.count * np.outer(self.mean, self.mean)
        return centred / (self.count - 1)


def distance_bytes(num_features: int) -> int:
    """Returns the memory that a distance takes, whatever the number of images.

    Two sums of outer products, and seven matrices of that size on the way from them to singular
    values, as measured.

    Args:
        num_features: number of features of an image.
    """
    return 9 * 8 * num_features**2


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """Returns the Frechet distance between two sets of features.

    It is the squared 2-Wasserstein distance of the Gaussians with their means and covariances,
    ``|m_1 - m_2|^2 + tr(C_1) + tr(C_2) - 2 tr((C_1 C_2)^(1/2))``. With factors ``C_i = L_i L_i^T``
    the last trace is the sum of the singular values of ``L_1^T L_2``. Unlike a root of the matrix
    ``C_1 C_2`` these stay real, and exact to rounding, when a covariance is singular.

    Args:
        first: `FeatureStatistics` of one set, or its features [num_images, num_features].
        second: the same of the other.

    Raises:
        UserError: a set has fewer than two images, the features differ in number, or one is not
            finite.
    """
    first, second = _statistics(first), _statistics(second)
    _check_num_features(first.num_features, second.num_features)
    return gaussian_frechet_distance(first.mean, first.covariance, second.mean, second.covariance)


def gaussian_frechet_distance(
    first_mean: np.ndarray,
    first_covariance: np.ndarray,
    second_mean: np.ndarray,
    second_covariance: np.ndarray,
) -> float:
    """Returns the Frechet distance between two Gaussians; see `frechet_distance`.

    Args:
        first_mean: [num_features].
        first_covariance: [num_features, num_features], positive semi-definite up to rounding.
        second_mean: as the first.
        second_covariance: as the first.
    """
    cross = _factor(first_covariance).T @ _factor(second_covariance)
    overlap = np.linalg.svd(cross, compute_uv=False).sum()
    difference = np.asarray(first_mean) - np.asarray(second_mean)
    spread = np.trace(first_covariance) + np.trace(second_covariance) - 2.0 * overlap
    # Only rounding can make a distance negative.
    return max(0.0, float(difference @ difference + spread))


def _statistics(features):
    if isinstance(features, FeatureStatistics):
        return features
    return FeatureStatistics.of(_checked_features(features))


def _checked_features(features):
    """Returns features as an array [num_images, num_features] of finite numbers."""
    try:
        features = np.asarray(features)
        finite = np.isfinite(features).all()
    except (TypeError, ValueError):  # texts, rows of unequal lengths
        raise UserError("distance of features: expected numbers") from None
    if features.ndim != 2:
        raise UserError(
            "distance of features: expected features [num_images, num_features], got the shape "
            f"{list(features.shape)}"
        )
    if not finite:
        raise UserError("distance of features: expected finite numbers, got NaN or infinity")
    return features


def _check_num_features(first, second):
    if first != second:
        raise UserError(
            "distance of features: expected sets with the same features, got "
            f"{first} and {second} of them"
        )


def _factor(covariance):
    """Returns L with covariance = L L^T; eigenvalues that are rounding, of either sign, count as 0.

    The root would make them large: of 1e-16 it is 1e-8.
    """
    values, vectors = np.linalg.eigh(covariance)
    rounding = len(values) * np.finfo(np.float64).eps * values[-1]
    return vectors * np.sqrt(np.where(values > rounding, values, 0.0))


def validity(counts: Mapping[str, int], num_features: int) -> list[str]:
    """Returns a sentence for each doubt about a Frechet distance, from its counts.

    Args:
        counts: {name of a set: number of images}.
        num_features: number of features of an image.
    """
    return [
        f"covariance of the {name} is singular: {count:,} images, {num_features:,} features; "
        "compare only with equal N"
        for name, count in counts.items()
        if count <= num_features
    ]


def kernel_distance(
    first: np.ndarray, second: np.ndarray, seed: int = 0
) -> tuple[float, float | None]:
    """Returns the kernel distance (KID) between two sets of features, and its standard error.

    It is the squared maximum mean discrepancy with the kernel ``(x . y / num_features + 1)^3`` by
    its unbiased estimator, averaged over subsets; it may come out below zero. Ours: the subsets are
    disjoint, so that they are independent and their spread is an honest standard error: 10 of
    them, of at most 1,000 images each.

    Args:
        first: [num_images, num_features].
        second: [another num_images, num_features].
        seed: of the random partition into subsets.

    Returns:
        (distance, standard error), the latter None for fewer than four images, which make only one
        subset.

    Raises:
        UserError: see `frechet_distance`.
    """
    first, second = _checked_features(first), _checked_features(second)
    _check_num_features(first.shape[1], second.shape[1])
    smallest = min(len(first), len(second))
    _check_count(smallest)
    num_subsets = min(NUM_SUBSETS, smallest // 2)
    rng = np.random.default_rng(seed)
    subsets = [_subsets(rng, features, num_subsets) for features in (first, second)]
    values = np.array([squared_mmd(x, y) for x, y in zip(*subsets, strict=True)])
    error = values.std(ddof=1) / np.sqrt(num_subsets) if num_subsets > 1 else None
    return float(values.mean()), None if error is None else float(error)


def _subsets(rng, features, num_subsets):
    parts = np.array_split(rng.permutation(len(features)), num_subsets)
    return [features[np.sort(part[:MAX_SUBSET_SIZE])].astype(np.float64) for part in parts]


def squared_mmd(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the unbiased estimate of the squared MMD with KID's kernel, of float64 features."""

    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1.0) ** 3

    def mean_off_diagonal(x):
        values = kernel(x, x)
        return (values.sum() - np.trace(values)) / (len(x) * (len(x) - 1))

    within = mean_off_diagonal(first) + mean_off_diagonal(second)
    return within - 2.0 * kernel(first, second).mean()


def _check_count(count):
    if count < 2:
        raise UserError(
            f"distance of features: expected 2 images or more in each set, got {count}: one image "
            "has no covariance"
        )
