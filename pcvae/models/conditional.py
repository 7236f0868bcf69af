"""A VDVAE that is conditioned on an image, on features or on a class label."""

import keras

from pcvae.models.condition import IMAGE, Condition
from pcvae.models.vdvae import VDVAE


@keras.saving.register_keras_serializable(package="pcvae")
class ConditionalVDVAE(VDVAE):
    """p(x, z_1:L | c) with the posterior q(z_i | x, c, z_<i): a VDVAE with a condition c.

    An encoder of the condition gives a map for each resolution, and the map enters every top-down
    block through a gate that starts closed, before prior and posterior alike (as VDVAE-SR, arXiv
    2203.09445, does for super-resolution; ours for the paper's second stage, which it does not
    describe). The posterior's encoder sees the condition beside the image, by a kernel that starts
    at zero. So at the start the model equals the unconditional one.

    Every pass and method takes ``condition``, one for each image:

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
        **kwargs: the other arguments of `VDVAE`.

    Raises:
        UserError: the arguments do not fit together.
    """

    def __init__(
        self,
        image_shape=None,
        condition=IMAGE,
        condition_shape=None,
        num_classes=None,
        condition_encoder_blocks=None,
        **kwargs,
    ):
        kwargs.setdefault("name", "conditional_vdvae")
        blocks = condition_encoder_blocks or kwargs.get("encoder_blocks")
        checked = Condition.checked(condition, condition_shape, num_classes, blocks, image_shape)
        super().__init__(image_shape=image_shape, condition=checked, **kwargs)
        self._condition_arguments = {
            "condition": condition,
            "condition_shape": None if condition_shape is None else list(condition_shape),
            "num_classes": num_classes,
            "condition_encoder_blocks": condition_encoder_blocks,
        }

    def read_condition(self, condition):
        """Returns a batch of conditions as the passes take it."""
        return self.condition.read(self.condition_encoder, self.image_shape[0], condition)

    def posterior_pass(self, images, noise, keep_latents=False, condition=None, pointwise=False):
        """Draws every latent from the posterior; see `Passes.posterior_pass`."""
        if condition is None:
            condition = self.condition.natural(images)
        return super().posterior_pass(images, noise, keep_latents, condition, pointwise)

    def get_config(self):
        return {**super().get_config(), **self._condition_arguments}
