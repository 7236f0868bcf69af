"""A VDVAE that is conditioned on an image, on features or on a class label."""

from collections.abc import Sequence
from typing import Any

from pcvae.checks import check_image_shape
from pcvae.models.architecture import Architecture
from pcvae.models.conditions import IMAGE, make_condition
from pcvae.models.registry import register
from pcvae.models.vdvae import VDVAE


@register
class ConditionalVDVAE(VDVAE):
    """p(x, z_1:L | c) with the posterior q(z_i | x, c, z_<i): a `VDVAE` whose condition is named.

    The posterior's encoder sees the condition beside the image, by a kernel that starts at zero,
    and every level through a gate that starts closed (as VDVAE-SR, arXiv 2203.09445, does for
    super-resolution; ours for the paper's second stage, which it does not describe). So at the
    start the model equals the unconditional one.

    Every method takes ``condition``, one for each image:

    * ``"image"``: uint8 [batch, height, width, channels], of the size of the images, such as the
      reconstruction of a first stage, or smaller by a whole factor. A smaller image with the
      images' channels follows from the image itself and may then be left out where images are
      given: so the model is one for super-resolution.
    * ``"features"``: float32 [batch, height, width, channels], such as latents of earlier stages.
    * ``"label"``: integers [batch].

    Args:
        image_shape: see `VDVAE`, also for the arguments that are not listed.
        condition: "image", "features" or "label".
        condition_shape: (height, width, channels) of the image or the features; by default that of
            the images.
        num_classes: of labels.
        condition_encoder_blocks: layer string of the condition's encoder; by default that of the
            images'.
        residual: whether the head says how the image differs from the condition: its mean is the
            image that is given, repeated up to the size, plus what it makes (ours). Of an image of
            as many channels and a head with a mean: "gaussian", "gaussian_floor" or "linear".
        **kwargs: the other arguments of `VDVAE`.

    Raises:
        UserError: the arguments do not fit together.
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (32, 32, 3),
        condition: str = IMAGE,
        condition_shape: Sequence[int] | None = None,
        num_classes: int | None = None,
        condition_encoder_blocks: str | None = None,
        residual: bool = False,
        **kwargs: Any,
    ) -> None:
        image_shape = check_image_shape(image_shape)
        blocks = kwargs.get("encoder_blocks", Architecture.encoder_blocks)
        given = make_condition(
            condition,
            image_shape,
            condition_shape,
            num_classes,
            condition_encoder_blocks or blocks,
            residual,
        )
        super().__init__(image_shape, given, **{"name": "conditional_vdvae", **kwargs})
        self._condition_arguments = {
            "condition": condition,
            "condition_shape": None if condition_shape is None else list(condition_shape),
            "num_classes": num_classes,
            "condition_encoder_blocks": condition_encoder_blocks,
        }
        if residual:  # older records do not know it
            self._condition_arguments["residual"] = True

    def get_config(self) -> dict:
        return {**super().get_config(), **self._condition_arguments}
