"""What decoders of prefixes are fitted for while the latents stay as they are: D_k."""

import tensorflow as tf

from pcvae import units
from pcvae.objectives.distortion import mse
from pcvae.outputs import ObjectiveTerms, VDVAEOutput
from pcvae.quantities import prefix_distortion_tag


class PrefixDistortion:
    """The sum over prefixes of D_k = E||x - d_k(z_1:k)||^2, per dimension (section 3.1, eq. 4).

    The decoders share no weights, so that each term is minimised by itself: one run fits all of
    them on the same posterior samples.
    """

    def __call__(self, output: VDVAEOutput, images: tf.Tensor, step: tf.Tensor) -> ObjectiveTerms:
        """Gives the terms of a batch.

        Args:
            output: that of a model with reconstructions of prefixes.
            images: uint8 [batch, height, width, channels].
            step: integer tensor, not used.

        Returns:
            The terms; the loss is a sum of mean squared errors, the distortion is that of the
            longest prefix.
        """
        distortions = {
            num_levels: mse(images, reconstruction)
            for num_levels, reconstruction in output.prefix_reconstructions.items()
        }
        return ObjectiveTerms(
            loss=tf.add_n(list(distortions.values())),
            rate=units.sum_per_example(output.rate_per_level),
            distortion=distortions[max(distortions)],
            metrics={prefix_distortion_tag(k): value for k, value in distortions.items()},
        )
