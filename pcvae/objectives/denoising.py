"""What diffusion models are trained for (Ho et al. 2020; Shu and Ermon 2022, eq. 7)."""

from collections.abc import Callable

import tensorflow as tf

from pcvae import units
from pcvae.checks import check_choice
from pcvae.errors import UserError
from pcvae.objectives.distortion import own_distortion
from pcvae.outputs import ObjectiveTerms, VDVAEOutput
from pcvae.quantities import NEGATIVE_ELBO, NLL

# {weighting: the weight of a squared error at a signal-to-noise ratio}
WEIGHTS: dict[str, Callable] = {
    "image": tf.ones_like,
    "noise": tf.identity,
    "velocity": lambda snr: 1.0 + snr,
}


class Denoising:
    """The mean over levels k of D_k = E||x - d_k(z_k)||^2, as it stands or weighted.

    A step of training draws one level of each example, so that a batch estimates the mean. The
    error is that of the denoiser's estimate before it is clipped.

    Args:
        weighting: "image" for the mean itself, which is eq. 7 of Shu and Ermon (2022) divided by
            the number of levels; "noise" for each D_k times the signal-to-noise ratio of its level,
            which is the error of the noise that the denoiser predicts: the simple loss of Ho et al.
            (2020, eq. 14), per dimension; "velocity" for the sum of both, the error of the velocity
            (Salimans and Ho 2022, arXiv 2202.00512).

    Raises:
        UserError: another weighting.
    """

    def __init__(self, weighting: str = "noise") -> None:
        self.weighting = check_choice("weighting", weighting, WEIGHTS)

    def __call__(self, output: VDVAEOutput, images: tf.Tensor, step: tf.Tensor) -> ObjectiveTerms:
        """Gives the terms of a batch.

        Args:
            output: that of a `DDPM` in training.
            images: uint8 [batch, height, width, channels].
            step: integer tensor, not used.

        Returns:
            The terms; the loss is a mean squared error per dimension.

        Raises:
            UserError: the model is no diffusion model.
        """
        if output.drawn_level is None:
            raise UserError(
                "Denoising trains models that draw one level in training, such as DDPM: take "
                "NegativeELBO, or include 'models/small_ddpm.gin'"
            )
        snr, estimate = output.drawn_level
        signed = units.signed_from_levels(images, bit_depth=8)
        loss = units.mean_per_example(tf.math.squared_difference(signed, estimate))
        rate = units.sum_per_example(output.rate_per_level)
        image_shape = images.shape[1:]
        return ObjectiveTerms(
            loss=WEIGHTS[self.weighting](snr) * loss,
            rate=rate,
            distortion=own_distortion(self, output, images),
            metrics={
                NEGATIVE_ELBO.tag: units.bits_per_dim(output.nll + rate, image_shape),
                NLL.tag: units.bits_per_dim(output.nll, image_shape),
            },
        )
