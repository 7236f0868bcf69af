"""The importance-weighted bound on the likelihood (Burda et al. 2016, arXiv 1509.00519)."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.special import logsumexp

from pcvae import units
from pcvae.checks import check_integer
from pcvae.distributions.noise import SeededNoise, fold_in, make_seed
from pcvae.errors import UserError
from pcvae.measure.likelihood import mean_with_error
from pcvae.measure.per_image import PerImageEvaluation
from pcvae.models.base import HierarchicalModel
from pcvae.objectives import bound_nats, log_weights_of


class ImportanceWeightedEvaluation(PerImageEvaluation):
    """Bounds -log p(x) by K posterior samples per image, at least as well as the negative ELBO.

    With ``w_k = p(x | z_k) prod_i p(z_i | z_<i) / q(z_i | x, z_<i)`` at ``z_k`` from the posterior,

        -log p(x) <= E[-log(1/K sum_k w_k)] <= E[-log w_k],

    the last of which is the negative ELBO. The first is tighter the larger K is. Sample k of image
    i draws the noise of (seed, k, i); see `PerImageEvaluation`.

    Args:
        model: a `HierarchicalModel` whose head has a likelihood.
        num_samples: K.
        batch_size: images at once over all replicas.

    Raises:
        UserError: the head has no likelihood, or an argument is out of range.
    """

    def __init__(self, model: HierarchicalModel, num_samples: int, batch_size: int = 64) -> None:
        super().__init__(batch_size)
        if not model.head.has_likelihood:
            raise UserError(
                f"importance samples need a head with a likelihood, got {type(model.head).__name__}"
            )
        self.model = model
        self.num_samples = check_integer("importance_samples", num_samples, 1)

    def __call__(
        self, images: np.ndarray, seed: int = 0, progress: Callable | None = None
    ) -> dict[str, Any]:
        """Evaluates images.

        Args:
            images: uint8 array-like [num_images, height, width, channels].
            seed: integer.
            progress: None, or a function that wraps the list of batches it iterates over.

        Returns:
            A dict: ``importance_samples``, and ``iw_nll_bits_per_dim``, ``iw_nll_nats`` (an image)
            and ``effective_sample_size``, means over images with ``_stderr``.
        """
        bounds, sizes = [], []
        for log_weights in self.log_weights(images, seed, progress):
            bounds.append(bound_nats(log_weights).numpy())
            sizes.append(effective_sample_size(log_weights))
        bound = np.concatenate(bounds)
        in_bits = units.bits_per_dim(bound, self.model.image_shape)
        return {
            "importance_samples": self.num_samples,
            **mean_with_error("iw_nll_bits_per_dim", in_bits),
            **mean_with_error("iw_nll_nats", bound),
            **mean_with_error("effective_sample_size", np.concatenate(sizes)),
        }

    def log_weights(
        self, images: np.ndarray, seed: int = 0, progress: Callable | None = None
    ) -> Iterator[np.ndarray]:
        """Yields the log weights of each batch, float64 [batch, K] nats; see `__call__`."""
        first_seed = make_seed(seed)
        seeds = [fold_in(first_seed, sample) for sample in range(self.num_samples)]
        for compute in self._computations(images, progress):
            columns = [compute(seed)["log_weight"] for seed in seeds]
            yield np.stack(columns, axis=1).astype(np.float64)

    def _replica(self, batch, seed):
        noise = SeededNoise(seed, batch["first_example"])
        output = self.model.posterior_output(batch["images"], noise, pointwise=True)
        return {"log_weight": log_weights_of(output)}


def effective_sample_size(log_weights: np.ndarray) -> np.ndarray:
    """Returns (sum w)^2 / sum w^2 of each image: 1 if one sample has all the weight, K if none has.

    Args:
        log_weights: float64 [num_images, K].
    """
    return np.exp(2.0 * logsumexp(log_weights, axis=1) - logsumexp(2.0 * log_weights, axis=1))
