"""Features of images, for models of other tasks that are built on a hierarchical VAE."""

from typing import Any

import numpy as np

from pcvae.layers.plan import Posterior


class FeatureMethods:
    """A method of every `HierarchicalModel`; its arguments are as in `ArrayMethods`."""

    def features(
        self, images: np.ndarray, seed: Any = 0, batch_size: int = 64, condition: Any = None
    ) -> np.ndarray:
        """Returns what the head sees of images, with all latents drawn from their posterior.

        Pixels are scaled by the model itself.

        Returns:
            float32 [num_images, height, width, channels of the decoder].
        """

        def features(noise, images, *condition):
            return self.trace(Posterior(), noise, images, *condition).features

        graph = self._runner.graph("features", features, self._runner.images)
        return self._runner.on_images(graph, images, batch_size, seed, condition)
