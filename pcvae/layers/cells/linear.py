"""A linear cell: what a hierarchy of Gaussian latents for a Gaussian source comes down to."""

from typing import Any

import keras
import tensorflow as tf

from pcvae.distributions.gaussian import DiagonalGaussian
from pcvae.layers.cells.cell import Site, standard_normal


@keras.saving.register_keras_serializable(package="pcvae")
class LinearCell(keras.layers.Layer):
    """A latent [latent_width] that codes what the latents before it have left of a vector x.

    The features h [batch, num_dims] are the reconstruction so far. The prior is N(0, I), the
    posterior N((x - h) A, diag(std^2)), and the latent adds z B to h. With enough of them these
    cells can reach Shannon's curve of a Gaussian source at every prefix, since it is successively
    refinable (Equitz and Cover 1991).

    Args:
        num_dims: of the vectors.
        latent_width: numbers in a latent.
        initial_std: standard deviation of what A and B start from, times sqrt(num_dims) (ours).
        seed: of their initial values; None for Keras' own.
    """

    def __init__(
        self,
        num_dims: int,
        latent_width: int,
        initial_std: float = 0.3,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_dims = num_dims
        self.latent_width = latent_width
        self.initial_std = initial_std
        self.seed = seed

    def build(self, input_shape: Any = None) -> None:
        def normal(number):
            seed = None if self.seed is None else self.seed + number
            std = self.initial_std / self.num_dims**0.5
            return keras.initializers.RandomNormal(stddev=std, seed=seed)

        width, dims = self.latent_width, self.num_dims
        self.analysis = self.add_weight((dims, width), normal(0), name="analysis")
        self.synthesis = self.add_weight((width, dims), normal(1), name="synthesis")
        self.log_std = self.add_weight((width,), "zeros", name="log_std")
        super().build(input_shape)

    def prior(self, h: tf.Tensor, site: Site) -> tuple[DiagonalGaussian, tf.Tensor]:
        """Returns N(0, I), and h."""
        return standard_normal(site), h

    def posterior(
        self, h: tf.Tensor, prior: DiagonalGaussian, evidence: tf.Tensor, site: Site
    ) -> DiagonalGaussian:
        """Returns q(z_i | x, z_<i); the evidence is x, [batch, num_dims]."""
        mean = tf.matmul(evidence - h, self.analysis)
        return DiagonalGaussian(mean, tf.broadcast_to(self.log_std, tf.shape(mean)))

    def absorb(self, h: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """Returns the reconstruction with the latent's part in it."""
        return h + tf.matmul(latent, self.synthesis)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "num_dims": self.num_dims,
            "latent_width": self.latent_width,
            "initial_std": self.initial_std,
            "seed": self.seed,
        }
