"""The negative evidence lower bound and its usual variations."""

import tensorflow as tf

from pcvae import units
from pcvae.checks import check_number
from pcvae.errors import UserError
from pcvae.objectives.distortion import own_distortion
from pcvae.outputs import ObjectiveTerms, VDVAEOutput
from pcvae.quantities import NEGATIVE_ELBO, NLL


class NegativeELBO:
    """-log p(x | z) + beta * warm-up * sum over levels of max(rate_i, free bits), per dimension.

    The reported rate is always the true one; beta, the warm-up and the free bits move the loss
    alone. Free bits hold for each level and each example (Kingma et al. 2016, with groups of one
    level; per example, so that the result does not depend on the batch or on replicas: ours).

    Args:
        beta: weight of the rate (Higgins et al. 2017).
        kl_warmup_steps: steps over which the weight of the rate grows linearly to beta; 0 for none.
        free_bits_nats_per_level: nats per image that each level may use at no cost.

    Raises:
        UserError: an argument is negative.
    """

    def __init__(
        self,
        beta: float = 1.0,
        kl_warmup_steps: int = 0,
        free_bits_nats_per_level: float = 0.0,
    ) -> None:
        self.beta = check_number("beta", beta, 0.0)
        self.kl_warmup_steps = check_number("kl_warmup_steps", kl_warmup_steps, 0.0)
        self.free_bits_nats_per_level = check_number(
            "free_bits_nats_per_level", free_bits_nats_per_level, 0.0
        )

    def rate_weight(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the weight of the rate at a step: beta times the warm-up."""
        if not self.kl_warmup_steps:
            return tf.constant(self.beta)
        progress = tf.cast(step + 1, tf.float32) / self.kl_warmup_steps
        return self.beta * tf.minimum(1.0, progress)

    def __call__(self, output: VDVAEOutput, images: tf.Tensor, step: tf.Tensor) -> ObjectiveTerms:
        """Gives the terms of a batch.

        Args:
            output: that of a model with a likelihood and without decoders of prefixes.
            images: uint8 [batch, height, width, channels].
            step: integer tensor, the number of steps taken.

        Returns:
            The terms; the loss is in nats per dimension.

        Raises:
            UserError: the head has no likelihood, or prefixes have decoders, which would never be
                trained.
        """
        distortion = own_distortion(self, output, images)
        check_likelihood(self, output)
        image_shape = images.shape[1:]
        rate = units.sum_per_example(output.rate_per_level)
        charged = output.rate_per_level
        if self.free_bits_nats_per_level:  # a rate at one latent may be negative
            charged = tf.maximum(charged, self.free_bits_nats_per_level)
        weighted = self.rate_weight(step) * units.sum_per_example(charged)
        return ObjectiveTerms(
            loss=units.nats_per_dim(output.reconstruction_nats + weighted, image_shape),
            rate=rate,
            distortion=distortion,
            metrics={
                NEGATIVE_ELBO.tag: units.bits_per_dim(output.nll + rate, image_shape),
                NLL.tag: units.bits_per_dim(output.nll, image_shape),
            },
        )


def check_likelihood(objective: object, output: VDVAEOutput) -> None:
    """Raises UserError if the head of a model has no likelihood."""
    if output.nll is None:
        raise UserError(
            f"{type(objective).__name__} needs a head with a likelihood, got the linear head: "
            "choose 'logistic_mixture', 'gaussian', 'gaussian_floor' or 'bernoulli'"
        )
