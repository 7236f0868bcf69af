"""Soft shares of the rate for the levels (Luhman and Luhman 2022, arXiv 2210.10205)."""

from collections.abc import Sequence

import tensorflow as tf

from pcvae import units
from pcvae.checks import check_counts, check_number
from pcvae.errors import UserError
from pcvae.objectives.elbo import NegativeELBO
from pcvae.outputs import ObjectiveTerms, VDVAEOutput
from pcvae.quantities import share_tag

MIN_WEIGHT, MAX_WEIGHT = 0.1, 2.0


class KLShares:
    """The negative ELBO, each level's rate weighted so that it takes its share of the image's rate.

    With f the share of a level in the rate of an image and w the least share that it is to have,
    its rate counts 1 where w <= f <= 2 w, less where f is smaller, in proportion to f down to 0.1,
    and more where f is larger, linearly up to 2 at f = 3 w. No gradient goes through the weights.
    Unlike the constraints of `ProgressiveCoding` they are soft, relative, and say nothing of the
    rate as a whole.

    Args:
        shares_percent: least shares, in percent of the rate of all levels, coarsest first.
        levels_per_share: how many levels divide each share evenly; None for one.
        kl_warmup_steps: steps over which the weight of the rate grows linearly to 1; 0 for none.

    Raises:
        UserError: shares are not above 0 or make more than 100 %, or the numbers do not fit.
    """

    def __init__(
        self,
        shares_percent: Sequence[float],
        levels_per_share: Sequence[int] | None = None,
        kl_warmup_steps: int = 0,
    ) -> None:
        if not isinstance(shares_percent, list | tuple) or not shares_percent:
            raise UserError(f"shares_percent: expected a list of numbers, got {shares_percent!r}")
        for share in shares_percent:
            check_number("shares_percent", share, 0.0, 100.0, above=True)
        if sum(shares_percent) > 100.0:
            raise UserError(
                "shares_percent: expected least shares that make at most 100 % together, got "
                f"{sum(shares_percent):g} %"
            )
        counts = [1] * len(shares_percent) if levels_per_share is None else levels_per_share
        if not isinstance(counts, list | tuple) or len(counts) != len(shares_percent):
            raise UserError(
                f"levels_per_share: expected {len(shares_percent)} numbers, one for each of "
                f"shares_percent, got {levels_per_share!r}"
            )
        check_counts(**{f"levels_per_share[{i}]": count for i, count in enumerate(counts)})
        self.least_shares = [
            share / (100.0 * count)
            for share, count in zip(shares_percent, counts, strict=True)
            for _ in range(count)
        ]
        self._elbo = NegativeELBO(kl_warmup_steps=kl_warmup_steps)

    def weights(self, rate_per_level: tf.Tensor) -> tf.Tensor:
        """Returns the weight of each level's rate.

        Args:
            rate_per_level: [batch, levels] nats.

        Returns:
            float32 [batch, levels], in 0.1..2, without a gradient. An image without any rate gets
            0.1 everywhere.
        """
        relative = shares_of(rate_per_level) / tf.constant(self.least_shares)
        below = tf.clip_by_value(relative, MIN_WEIGHT, 1.0)
        beyond = tf.clip_by_value(relative - 2.0, 0.0, MAX_WEIGHT - 1.0)
        return tf.stop_gradient(below + beyond)

    def __call__(self, output: VDVAEOutput, images: tf.Tensor, step: tf.Tensor) -> ObjectiveTerms:
        """Gives the terms of a batch; see `NegativeELBO`. The metrics hold each level's share.

        Raises:
            UserError: the model has not as many levels as there are shares.
        """
        rates = output.rate_per_level
        if rates.shape[1] != len(self.least_shares):
            raise UserError(
                f"KLShares has shares for {len(self.least_shares)} levels, but the model has "
                f"{rates.shape[1]}: give shares_percent, or levels_per_share, for all of them"
            )
        terms = self._elbo(output, images, step)
        charged = units.sum_per_example(self.weights(rates) * rates) * self._elbo.rate_weight(step)
        loss = units.nats_per_dim(output.reconstruction_nats + charged, images.shape[1:])
        shares = 100.0 * shares_of(rates)
        named = {share_tag(level): shares[:, level] for level in range(rates.shape[1])}
        return terms._replace(loss=loss, metrics={**terms.metrics, **named})


def shares_of(rate_per_level: tf.Tensor) -> tf.Tensor:
    """Returns the share of each level in the rate of its image, [batch, levels] in 0..1."""
    return tf.math.divide_no_nan(rate_per_level, tf.reduce_sum(rate_per_level, 1, keepdims=True))
