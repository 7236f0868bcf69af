"""Values of every image of a split, in batches over any number of replicas."""

import abc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from pcvae.checks import check_batch
from pcvae.distributions.noise import make_seed
from pcvae.errors import UserError
from pcvae.tracing import graphs_as_traced


class PerImageEvaluation(abc.ABC):
    """Computes values of images, each image once, the ragged last batch included.

    Image i draws the noise of (seed, i), so that neither the batch size nor the number of replicas
    changes the result. Made once, called often: the graph is traced at the first call. It runs
    under the strategy in whose scope it was made.
    """

    def __init__(self, batch_size: int) -> None:
        """Sets up the graph.

        Args:
            batch_size: images at once over all replicas.
        """
        self.strategy = tf.distribute.get_strategy()
        replicas = self.strategy.num_replicas_in_sync
        self.local_batch_size = max(1, batch_size // replicas)
        self.batch_size = self.local_batch_size * replicas
        self._evaluate = tf.function(self._distributed, autograph=False)

    def batches(
        self, images: Any, seed: int = 0, progress: Callable | None = None
    ) -> Iterator[dict[str, np.ndarray]]:
        """Yields {name: array over images} of each batch, in order.

        Args:
            images: uint8 array-like [num_images, height, width, channels]: what has a length and
                gives arrays for slices is enough.
            seed: integer.
            progress: None, or a function that wraps the list of batches it iterates over.

        Raises:
            UserError: there is no image, they are of another type, or no memory holds a batch.
        """
        seed_tensor = make_seed(seed)
        for compute in self._computations(images, progress):
            yield compute(seed_tensor)

    def per_image(
        self, images: Any, seed: int = 0, progress: Callable | None = None
    ) -> dict[str, np.ndarray]:
        """Returns {name: array over images}; see `batches`."""
        parts = list(self.batches(images, seed, progress))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _computations(self, images, progress):
        """Yields for each batch a function from a seed, int32 [2], to {name: array}."""
        if not len(images):
            raise UserError("images: expected one or more, got none")
        starts = range(0, len(images), self.batch_size)
        for start in progress(starts) if progress else starts:
            batch = np.asarray(images[start : start + self.batch_size])
            if batch.dtype != np.uint8 or batch.ndim != 4:
                raise UserError(
                    "images: expected uint8 [num_images, height, width, channels] in 0..255, got "
                    f"{batch.dtype} with {batch.ndim} axes"
                )
            check_batch(self.batch_size, batch.shape[1:])
            valid = len(batch)
            if valid < self.batch_size:
                padding = np.repeat(batch[-1:], self.batch_size - valid, axis=0)
                batch = np.concatenate([batch, padding])
            placed = self._distribute(batch, start)

            def compute(seed, placed=placed, valid=valid):
                with graphs_as_traced():
                    values = self._evaluate(placed, seed)
                return {name: value.numpy()[:valid] for name, value in values.items()}

            yield compute

    @abc.abstractmethod
    def _replica(self, batch, seed):
        """Computes {name: tensor [local_batch_size, ...]} of one replica's images, in a graph.

        Args:
            batch: ``images``, uint8 [local_batch_size, height, width, channels], and
                ``first_example``, the index of the first of them.
            seed: int32 [2].
        """

    def _distribute(self, batch, start):
        def local(context):
            first = context.replica_id_in_sync_group * self.local_batch_size
            return {
                "images": tf.constant(batch[first : first + self.local_batch_size]),
                "first_example": tf.constant(start + first, tf.int64),
            }

        return self.strategy.experimental_distribute_values_from_function(local)

    def _distributed(self, batch, seed):
        values = self.strategy.run(self._replica, args=(batch, seed))
        return {name: self.strategy.gather(value, axis=0) for name, value in values.items()}
