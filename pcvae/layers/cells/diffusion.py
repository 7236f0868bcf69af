"""The cells of a diffusion model: q is fixed, and p is q with an estimate in place of the image.

Level 0 has the latent x_T, level i the latent x_{T-i}; the features are the latent before. With a
schedule of T steps (`NoiseSchedule`), equations 4 to 6 of Shu and Ermon (2022) read

    q(x_T | x_0) = N(sqrt(abar_T) x_0, (1 - abar_T) I),    p(x_T) = N(0, I),
    p(x_{t-1} | x_t) = q(x_{t-1} | x_t, x_0 = xhat(x_t, t)).
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pcvae.distributions.gaussian import DiagonalGaussian
from pcvae.distributions.noise_schedule import NoiseSchedule
from pcvae.layers.cells.cell import Site


class PureNoiseCell:
    """The first level: x_T, whose prior is standard normal.

    Args:
        schedule: the noise.
    """

    def __init__(self, schedule: NoiseSchedule) -> None:
        self._scale = float(np.sqrt(schedule.abar[-1]))
        self._log_std = float(0.5 * np.log(schedule.noise_variances[-1]))

    def prior(self, h: tf.Tensor, site: Site) -> tuple[DiagonalGaussian, tf.Tensor]:
        """Returns N(0, I) of the shape of h, [batch, ...], and h."""
        return DiagonalGaussian(tf.zeros_like(h), tf.zeros_like(h)), h

    def posterior(
        self, h: tf.Tensor, prior: DiagonalGaussian | None, evidence: tf.Tensor, site: Site
    ) -> DiagonalGaussian:
        """Returns q(x_T | x_0); the evidence is x_0, [batch, ...]."""
        return DiagonalGaussian(self._scale * evidence, tf.fill(tf.shape(evidence), self._log_std))

    def absorb(self, h: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """Returns the latent, which is all that the next level sees."""
        latent.set_shape(h.shape)
        return latent


class DiffusionCell:
    """All other levels: x_{t-1} given x_t, for t = T - i + 1 at level i.

    Args:
        schedule: the noise.
        estimate: function (x_t [batch, ...], t int32 [] or [batch]) -> xhat [batch, ...], what x_0
            is taken to be. With a network it is the denoiser's; any other will do.
        upper: whether the variance of p is beta_t, the upper of the two bounds of Ho et al. (2020),
            section 3.2; by default it is that of q, betatilde_t, the lower one.
    """

    def __init__(self, schedule: NoiseSchedule, estimate: Callable, upper: bool = False) -> None:
        self.estimate = estimate
        # betatilde_1 is 0: x_0 is no latent, and step 1 belongs to the head.
        variances = np.append(schedule.betas[0], schedule.posterior_variances[1:])
        of_prior = schedule.betas if upper else variances
        self._of_step = np.stack(
            [
                schedule.image_weights,
                schedule.state_weights,
                0.5 * np.log(variances),
                0.5 * np.log(of_prior),
            ],
            axis=1,
        ).astype(np.float32)
        self._num_steps = schedule.num_steps

    def prior(self, h: tf.Tensor, site: Site) -> tuple[DiagonalGaussian, tf.Tensor]:
        """Returns p(x_{t-1} | x_t) and h.

        Args:
            h: x_t, [batch, ...].
            site: its index may also be [batch], a level for each example.
        """
        step = self._num_steps - site.index + 1
        image_weight, state_weight, _, log_std = self._coefficients(step, h)
        mean = image_weight * self.estimate(h, step) + state_weight * h
        return DiagonalGaussian(mean, log_std + tf.zeros_like(h)), h

    def posterior(
        self, h: tf.Tensor, prior: DiagonalGaussian | None, evidence: tf.Tensor, site: Site
    ) -> DiagonalGaussian:
        """Returns q(x_{t-1} | x_t, x_0); the evidence is x_0, [batch, ...]; see `prior`."""
        step = self._num_steps - site.index + 1
        image_weight, state_weight, log_std, _ = self._coefficients(step, h)
        return DiagonalGaussian(
            image_weight * evidence + state_weight * h, log_std + tf.zeros_like(h)
        )

    def absorb(self, h: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """Returns the latent, which is all that the next level sees."""
        latent.set_shape(h.shape)
        return latent

    def _coefficients(self, step, h):
        """Returns the four numbers of a step, of shapes that broadcast with h."""
        rows = tf.gather(tf.constant(self._of_step), step - 1)
        return [per_example(number, h) for number in tf.unstack(rows, axis=-1)]


def signal_and_deviation(
    schedule: NoiseSchedule, step: tf.Tensor, like: tf.Tensor
) -> list[tf.Tensor]:
    """Returns sqrt(abar_t) and sqrt(1 - abar_t), of which x_t is made of the image and noise.

    Args:
        schedule: the noise.
        step: t, int32 [] or [batch].
        like: a tensor [batch, ...] that they are to broadcast with.
    """
    squares = np.stack([schedule.abar, schedule.noise_variances], axis=1)
    rows = tf.gather(tf.constant(np.sqrt(squares), tf.float32), step - 1)
    return [per_example(number, like) for number in tf.unstack(rows, axis=-1)]


def per_example(numbers: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Returns numbers [] or [batch] in a shape that broadcasts with a tensor [batch, ...]."""
    if numbers.shape.rank == 0:
        return numbers
    return tf.reshape(numbers, [-1, *(1 for _ in like.shape[1:])])
