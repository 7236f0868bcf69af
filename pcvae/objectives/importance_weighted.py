"""The importance-weighted bound (Burda et al. 2015, arXiv 1509.00519, equation 8)."""

from typing import Any

import tensorflow as tf

from pcvae import units
from pcvae.checks import check_integer
from pcvae.objectives.distortion import own_distortion
from pcvae.objectives.elbo import check_likelihood
from pcvae.outputs import ObjectiveTerms, VDVAEOutput
from pcvae.quantities import IW_NLL, NEGATIVE_ELBO, NLL


class ImportanceWeighted:
    """-log of the mean of K importance weights of each image, in expectation at least -log p(x).

    With z_k drawn from the posterior and w_k = p(x, z_k) / q(z_k | x),

        loss = -log(1/K sum_k w_k),

    the negative ELBO for K = 1, and a tighter bound the larger K is. The `Trainer` gives the model
    each image K times, next to one another, and asks for rates at the latents that are drawn, not
    for KL divergences. Sample k of image i draws the noise of the example i K + k, so that neither
    the batch nor the replicas change the result. A step takes K times the memory and time.

    Attributes:
        samples_per_image: K.

    Args:
        num_samples: K.

    Raises:
        UserError: K is no integer above 0.
    """

    def __init__(self, num_samples: int = 5) -> None:
        self.samples_per_image = check_integer("num_samples", num_samples, 1)

    def __call__(self, output: VDVAEOutput, images: tf.Tensor, step: tf.Tensor) -> ObjectiveTerms:
        """Returns the terms of a batch.

        Args:
            output: that of a model with a likelihood and without decoders of prefixes, for images
                that stand K times each; its rates are those of the latents that were drawn.
            images: uint8 [batch * K, height, width, channels].
            step: integer tensor, not used.

        Returns:
            The terms: the loss [batch] in nats per dimension, the others of each sample.

        Raises:
            UserError: the head has no likelihood, or prefixes have decoders, which would never be
                trained.
        """
        distortion, shape = own_distortion(self, output, images), images.shape[1:]
        check_likelihood(self, output)
        log_weights = log_weights_of(output)
        bound = bound_nats(tf.reshape(log_weights, [-1, self.samples_per_image]))
        return ObjectiveTerms(
            loss=units.nats_per_dim(bound, shape),
            rate=units.sum_per_example(output.rate_per_level),
            distortion=distortion,
            metrics={
                NEGATIVE_ELBO.tag: units.bits_per_dim(-log_weights, shape),
                NLL.tag: units.bits_per_dim(output.nll, shape),
                IW_NLL.tag: units.bits_per_dim(bound, shape),
            },
        )


def log_weights_of(output: VDVAEOutput) -> tf.Tensor:
    """Returns log p(x, z) - log q(z | x) of each example, nats, of an output of pointwise rates."""
    return -output.nll - units.sum_per_example(output.rate_per_level)


def bound_nats(log_weights: Any) -> tf.Tensor:
    """Returns -log of the mean weight of each image, [num_images] nats.

    Args:
        log_weights: [num_images, K].
    """
    log_weights = tf.convert_to_tensor(log_weights)
    count = tf.cast(tf.shape(log_weights)[1], log_weights.dtype)
    return tf.math.log(count) - tf.reduce_logsumexp(log_weights, axis=1)
