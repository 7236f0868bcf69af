"""What decodes a prefix of the latents: the model itself, or a decoder trained for that prefix."""

import functools

import tensorflow as tf

from pcvae.errors import UserError

OWN, PRIOR = "own", "prior"


class PrefixChoice:
    """The choice between the decoders of a prefix; mixed into a model with `decoded_prefixes`."""

    def decoder_of_prefix(self, num_levels, decoder=None):
        """Returns which decoder ``reconstruct`` takes for a prefix: "own" or "prior".

        Args:
            num_levels: the prefix K.
            decoder: "own", "prior", or None for "own" where there is one.

        Raises:
            UserError: "own" where there is none, or another word.
        """
        own = self.decoded_prefixes
        if decoder is None:
            return OWN if num_levels in own else PRIOR
        if decoder not in (OWN, PRIOR):
            raise UserError(f"decoder: expected own or prior, got {decoder!r}")
        if decoder == OWN and num_levels not in own:
            raise UserError(
                f"decoder: the model has none of its own for {num_levels} levels, only for "
                f"{', '.join(map(str, own))}: take one of these, or the decoder prior"
            )
        return decoder

    def prefix_decoder(self, num_levels, decoder=None):
        """Returns the `PrefixDecoder` that ``reconstruct`` takes; None for the model itself."""
        is_own = self.decoder_of_prefix(num_levels, decoder) == OWN
        if not is_own or num_levels == self.num_levels:
            return None
        return self.prefix_decoders[self.decoded_prefixes.index(num_levels)]

    @functools.cached_property
    def _prefix_graph(self):
        def decode(latents, *unused):
            return self.rounded(self.prefix_decoder(len(latents))(latents))

        # No signature: the number of latents that are given is part of the graph.
        return tf.function(decode, reduce_retracing=True, autograph=False)
