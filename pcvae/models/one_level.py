"""Training a diffusion model by one level of each example, drawn at random."""

from typing import TYPE_CHECKING

import tensorflow as tf

from pcvae.distributions.gaussian import rate_nats
from pcvae.distributions.noise import Noise
from pcvae.layers.cells import Site
from pcvae.layers.cells.diffusion import DiffusionCell, per_example, signal_and_deviation
from pcvae.models.conditions import UNCONDITIONAL
from pcvae.outputs import DrawnLevel, VDVAEOutput

if TYPE_CHECKING:
    from pcvae.models.ddpm import DDPM

# Sites of the noise of training, far from the indices of levels and from those of heads.
STEP_SITE = 2**30 + 2
STATE_SITE = 2**30 + 3


def one_level_output(model: "DDPM", images: tf.Tensor, noise: Noise) -> VDVAEOutput:
    """Draws one step t of 1 ... T for each example: estimates of rates and nll.

    They are right on average: ``rate_per_level`` holds L_T, which needs no network, and T times
    L_{t-1} at the level of the step; ``nll`` is T times -log p(x_0 | x_1) where t is 1, and zero
    elsewhere. ``reconstruction`` is xhat(x_t, t); see also `DrawnLevel`.

    Args:
        model: a `DDPM`.
        images: uint8 [batch, height, width, channels].
        noise: of which each example draws its step and x_t, whatever its batch.
    """
    schedule, num_levels = model.schedule, model.num_levels
    x_0 = model.evidence(images, UNCONDITIONAL)
    count = tf.shape(x_0)[0]
    shape = (count, *model.image_shape)
    uniform = noise.uniform(STEP_SITE, (count, 1))[:, 0]
    step = 1 + tf.cast(tf.floor(uniform * num_levels), tf.int32)
    signal, deviation = signal_and_deviation(schedule, step, x_0)
    x_t = signal * x_0 + deviation * noise.normal(STATE_SITE, shape)
    unclipped = model.unclipped_estimate(x_t, step)
    estimate = model.clipped(unclipped)
    # The level of step 1 would be one more than there are: there the head has the say.
    site = Site(num_levels - step + 1, shape)
    cell = DiffusionCell(schedule, lambda x, t: estimate, model.diffusion.upper)
    prior, _ = cell.prior(x_t, site)
    rate = rate_nats(cell.posterior(x_t, prior, x_0, site), prior)
    first = model.first_cell
    start = rate_nats(first.posterior(x_0, None, x_0, site), first.prior(x_0, site)[0])
    rates = tf.one_hot(site.index, num_levels) * (num_levels * rate)[:, None]
    rates += tf.one_hot(0, num_levels) * start[:, None]
    is_last = step == 1
    # For the others the mean is the image: no infinity may come near the gradient.
    means = tf.where(per_example(is_last, x_0), estimate, x_0)
    nll = num_levels * model.head.negative_log_likelihood(means, images)
    snr = tf.gather(tf.constant(schedule.snr, tf.float32), step - 1)
    return VDVAEOutput(
        head_params=estimate,
        reconstruction=model.bounded(estimate),
        latents=(),
        rate_per_level=rates,
        nll=tf.where(is_last, nll, 0.0),
        drawn_level=DrawnLevel(snr, unclipped),
    )
