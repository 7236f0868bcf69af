"""The passes of a VDVAE inside a graph: from the posterior, from the prior, from latents."""

import tensorflow as tf

from pcvae.errors import UserError
from pcvae.layers.decoder import UnsharedActivations
from pcvae.models.condition import UNCONDITIONAL
from pcvae.models.editing import EditingPasses
from pcvae.outputs import VDVAEOutput


class Passes(EditingPasses):
    """The graph level of `Inference`; mixed into a model with encoder, decoder and head.

    `StagedVAE` offers the same methods. Each gives a `VDVAEOutput`.
    """

    def read_condition(self, condition):
        """Returns a condition as the passes take it: none.

        Raises:
            UserError: there is one.
        """
        if condition is not None:
            raise UserError(f"{type(self).__name__} takes no condition; ConditionalVDVAE does")
        return UNCONDITIONAL

    def activations(self, images, condition_image=None):
        """The bottom-up pass: uint8 images to {resolution: [batch, r, r, width]}.

        With an unshared prefix it gives an `UnsharedActivations`, one such dict for each encoder.
        """
        pixels = (tf.cast(images, tf.float32) - self.pixel_mean) / self.pixel_std
        rest = self.encoder(pixels, condition_image)
        if self.prefix_encoder is None:
            return rest
        prefix = self.prefix_encoder(pixels, condition_image)
        return UnsharedActivations(prefix, rest, self.unshared_prefix)

    def posterior_pass(self, images, noise, keep_latents=False, condition=None, pointwise=False):
        """Draws every latent from the posterior.

        Args:
            images: uint8 [batch, height, width, channels].
            noise: a `SeededNoise` or `GivenNoise`.
            keep_latents: whether the output holds the latents.
            condition: of a conditional model, one for each image.
            pointwise: whether the rates are those of the latents that are drawn, log q - log p,
                as importance weights take them, instead of KL divergences.

        Returns:
            A `VDVAEOutput`.
        """
        given = self.read_condition(condition)
        kept = keep_latents or bool(self.prefix_decoders)
        activations = self.activations(images, given.image)
        decoded = self.decoder.infer(activations, noise, kept, given.maps, pointwise)
        output = self._output(decoded)
        likely = self.head.has_likelihood
        return output._replace(
            latents=decoded.latents if keep_latents else (),
            nll=self.head.negative_log_likelihood(output.head_params, images) if likely else None,
            prefix_reconstructions={
                decoder.num_levels: decoder(decoded.latents) for decoder in self.prefix_decoders
            },
        )

    def prefix_pass(
        self, images, noise, temperature, num_levels, keep_latents=False, condition=None
    ):
        """Draws z_1:K from the posterior and the rest from the prior; see `Decoder.infer_prefix`.

        Returns:
            A `VDVAEOutput` without a likelihood.
        """
        given = self.read_condition(condition)
        activations = self.activations(images, given.image)
        return self._output(
            self.decoder.infer_prefix(
                activations, noise, temperature, num_levels, keep_latents, given.maps
            )
        )

    def prior_pass(self, num_samples, noise, temperature, keep_latents=False, condition=None):
        """Draws every latent from the prior; see `Decoder.generate`.

        Returns:
            A `VDVAEOutput` without a likelihood.
        """
        maps = self.read_condition(condition).maps
        return self._output(
            self.decoder.generate(num_samples, noise, temperature, keep_latents, maps)
        )

    def latent_pass(self, latents, noise, temperature, num_given=None, condition=None):
        """Takes the first latents as given, the rest from the prior; see `Decoder.decode`.

        Returns:
            A `VDVAEOutput` without a likelihood.
        """
        maps = self.read_condition(condition).maps
        return self._output(self.decoder.decode(latents, noise, temperature, num_given, maps))

    def draw(self, num_samples, noise, temperature, condition=None):
        """Draws images, uint8 [num_samples, height, width, channels]: latents, then pixels."""
        output = self.prior_pass(num_samples, noise, temperature, condition=condition)
        return self.head.sample(output.head_params, noise)

    def _output(self, decoded):
        params = self.head(decoded.features)
        return VDVAEOutput(
            head_params=params,
            reconstruction=self.head.mean(params),
            latents=decoded.latents,
            rate_per_level=decoded.rate_per_level,
            nll=None,
        )
