"""What decoders of prefixes are fitted for while the latents stay as they are."""

import tensorflow as tf

from pcvae import units
from pcvae.errors import UserError
from pcvae.objectives.distortions import mse
from pcvae.outputs import ObjectiveTerms


def check_one_decoder(objective, decoded_prefixes):
    """Checks that a model has no decoders but its own path, for an objective that trains no other.

    Raises:
        UserError: it has.
    """
    if len(decoded_prefixes) > 1:
        inner = ", ".join(map(str, decoded_prefixes[:-1]))
        raise UserError(
            f"{type(objective).__name__} does not train the model's prefix_decoders (K = {inner}): "
            "leave them out, or take ProgressiveCoding"
        )


class PrefixDistortion:
    """The sum over prefixes of E||x - d_k(z_1:k)||^2 / D.

    The decoders share no weights, so that each term is minimised by itself: one run fits all of
    them on the same posterior samples.
    """

    def constraints(self, decoded_prefixes):
        """Returns the constraints: none."""
        return ()

    def __call__(self, output, images, step):
        """Gives the terms of a batch.

        Args:
            output: a `VDVAEOutput` with reconstructions of prefixes.
            images: uint8 [batch, height, width, channels].
            step: integer tensor, not used.

        Returns:
            `ObjectiveTerms`; the loss is a sum of mean squared errors, the distortion is that of
            the longest prefix.
        """
        distortions = {
            num_levels: mse(images, reconstruction)
            for num_levels, reconstruction in output.prefix_reconstructions.items()
        }
        return ObjectiveTerms(
            loss=tf.add_n(list(distortions.values())),
            rate=units.sum_per_example(output.rate_per_level),
            distortion=distortions[max(distortions)],
            metrics={f"distortion/prefix_{k:03d}_mse": value for k, value in distortions.items()},
        )
