"""The ladder VAE (Sonderby et al. 2016, arXiv 1602.02282) in its dense form, as a Keras model."""

from collections.abc import Sequence
from typing import Any, ClassVar

import tensorflow as tf

from pcvae.distributions.gaussian import DiagonalGaussian
from pcvae.distributions.noise import Noise
from pcvae.layers.cells.dense import DenseCell, DenseLadderCell
from pcvae.layers.plan import Plan
from pcvae.models.dense import DenseHierarchy
from pcvae.models.registry import register


@register
class DenseLadderVAE(DenseHierarchy):
    """Flat latents whose posterior is the prior times what deterministic layers say of the image.

    Upwards d_L, ..., d_1 are hidden layers, each of the one below it, d_L of the image; d_i gives
    the Gaussian that `LadderCell` multiplies with p(z_i | z_<i). All hidden layers are normalised
    over the batch, before leaky rectifiers: in training an image's loss depends on its batch, and
    on how the batch is split; in sampling and evaluation the moving statistics stand for it. The
    warm-up of the rate, which is part of the method, is `NegativeELBO.kl_warmup_steps`.

    Sizes by default are the published ones, there counted from the image: latents of 64, 32, 16, 8
    and 4 numbers, hidden layers of 512, 256, 128, 64 and 64. (Ours: the first level, too, takes the
    product.)

    Args:
        image_shape: (height, width, channels).
        latent_widths: numbers of each latent, z_1 first.
        widths: of the two hidden layers at each level, upwards and downwards.
        **options: see `DenseHierarchy`, also for the errors.
    """

    cell_class: ClassVar[type[DenseCell]] = DenseLadderCell
    normalised: ClassVar[bool] = True

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28, 1),
        latent_widths: Sequence[int] = (4, 8, 16, 32, 64),
        widths: Sequence[int] = (64, 64, 128, 256, 512),
        *,
        name: str = "dense_ladder_vae",
        **options: Any,
    ) -> None:
        super().__init__(image_shape, latent_widths, widths, name=name, **options)

    def seen_widths(self) -> Sequence[int]:
        return self.widths

    def posteriors(self, plan: Plan, noise: Noise, x: tf.Tensor) -> list[DiagonalGaussian]:
        found = []
        for cell in reversed(self.cells):
            x = cell.upwards(x)
            found.append(cell.recognised(x))
        return found[::-1]
