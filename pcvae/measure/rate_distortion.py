"""The rate-distortion curve of a model's prefixes (Shu and Ermon 2022, section 3)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pcvae import units
from pcvae.distributions.noise import SeededNoise
from pcvae.measure.likelihood import (
    LikelihoodEvaluation,
    distortion_means,
    mean_with_error,
)
from pcvae.models import given_prefix
from pcvae.models.base import HierarchicalModel
from pcvae.models.readouts import PrefixDecoders
from pcvae.objectives import mse
from pcvae.quantities import IS_UPPER_BOUND, MANY_LEVELS

REFIT, OWN, PRIOR = "refit", "own", "prior"


def rate_distortion_curve(
    model: HierarchicalModel,
    images: np.ndarray,
    prefix_decoders: PrefixDecoders | None = None,
    seed: int = 0,
    batch_size: int = 64,
    per_image: bool = False,
    progress: Callable | None = None,
) -> Any:
    """Measures rate and distortion of every prefix z_1:K in one pass, by one posterior sample.

    R_K is the sum of the first K levels' rates. Its distortion comes from up to three decoders, the
    ``decoder`` of a row, which all see the same latents:

    - ``refit``: one fitted to the prefix with q frozen, which gives D_K as the paper defines it;
    - ``own``: the model's own output where the prefix is all levels, those of its own
      ``prefix_decoders``, trained together with q, of a composed model the image that each stage
      makes of its latents, and of a diffusion model the denoiser's estimate for every K;
    - ``prior``: the model's decoder with the levels below K at the prior's means, for every K (of a
      diffusion model, and of one of 100 levels or more, for those of ``model.prefixes``): an upper
      bound on D_K. (Ours: the means rather than samples. They make the decoder deterministic,
      which is what D_K is about, and spare it the noise that samples add.)

    Every image counts once, and neither the size of the batches nor the number of replicas changes
    the result; see `LikelihoodEvaluation`.

    Args:
        model: a `VDVAE`.
        images: uint8 array-like [num_images, height, width, channels].
        prefix_decoders: `models.PrefixDecoders` fitted to this model, or None.
        seed: integer, of the posterior.
        batch_size: images at once over all replicas.
        per_image: whether the values of each image are returned, too.
        progress: None, or a function that wraps the list of batches it iterates over.

    Returns:
        A list of rows as in ``results/rate_distortion.json``: ``num_levels``, ``resolution``,
        ``rate_nats_per_dim``, ``rate_bits_per_dim``, ``distortion_mse`` (on [-1, 1]) and
        ``psnr_db`` (mean over images), each mean with ``_stderr``, and ``decoder``; by decoder,
        then ascending in K. Of a model that infers latents upwards ``rate_is_upper_bound`` says
        so. With ``per_image`` a pair of it and a dict of arrays:
        ``rate_nats_per_level`` [num_images, levels] and ``distortion_mse`` [num_images, rows].
    """
    evaluation = _PrefixEvaluation(model, prefix_decoders, batch_size)
    values = evaluation.per_image(images, seed, progress)
    rates = values["rate_per_level"].astype(np.float64)
    rows, distortions = [], []
    for decoder, num_levels, distortion in evaluation.distortions(values):
        rate = rates[:, :num_levels].sum(axis=1)
        row = {"num_levels": num_levels, "resolution": model.level_resolutions[num_levels - 1]}
        row |= mean_with_error("rate_nats_per_dim", units.nats_per_dim(rate, model.image_shape))
        row |= mean_with_error("rate_bits_per_dim", units.bits_per_dim(rate, model.image_shape))
        if not model.rates_of_prefixes_are_exact:
            row[IS_UPPER_BOUND] = num_levels < model.num_levels
        rows.append({**row, **distortion_means(distortion), "decoder": decoder})
        distortions.append(distortion)
    if not per_image:
        return rows
    arrays = {"rate_nats_per_level": rates, "distortion_mse": np.stack(distortions, axis=1)}
    return rows, arrays


def rate_by_resolution(
    rate_nats_per_level: np.ndarray,
    groups: Sequence[int | str] | np.ndarray,
    image_shape: Sequence[int],
) -> dict[int | str, dict[str, Any]]:
    """Returns the rate of all levels of each resolution, or of another group, with its error.

    Args:
        rate_nats_per_level: [num_images, levels].
        groups: group of each level, its resolution or a name.
        image_shape: (height, width, channels).

    Returns:
        {group: {"rate_bits_per_dim": mean, "rate_bits_per_dim_stderr": error}}.
    """
    columns: dict[int | str, list[int]] = {}
    for level, group in enumerate(groups):
        columns.setdefault(group, []).append(level)
    sums = {group: rate_nats_per_level[:, levels].sum(axis=1) for group, levels in columns.items()}
    return {
        group: mean_with_error("rate_bits_per_dim", units.bits_per_dim(nats, image_shape))
        for group, nats in sums.items()
    }


class _PrefixEvaluation(LikelihoodEvaluation):
    """Evaluates every prefix of a model; see `rate_distortion_curve`."""

    def __init__(self, model, prefix_decoders, batch_size):
        super().__init__(model, batch_size)
        self._refitted = prefix_decoders
        own = sorted({*model.decoded_prefixes, *model.stage_ends})
        some = model.prefix_reconstruction is not None or model.num_levels >= MANY_LEVELS
        by_the_prior = model.prefixes if some else range(1, model.num_levels + 1)
        self._prefixes = {OWN: own, PRIOR: tuple(by_the_prior)}
        if prefix_decoders is not None:
            self._prefixes = {REFIT: prefix_decoders.prefixes, **self._prefixes}

    def distortions(self, values):
        """Yields (decoder, K, mse [n]) of each row, from the values over images."""
        for decoder, prefixes in self._prefixes.items():
            for column, num_levels in enumerate(prefixes):
                yield decoder, num_levels, values[decoder][:, column]

    def _replica(self, batch, seed):
        images = batch["images"]
        noise = SeededNoise(seed, batch["first_example"])
        output = self.model(images, noise=noise, keep_latents=True)
        of_each = output.prefix_mse
        own = {
            **output.prefix_reconstructions,
            **output.stage_reconstructions,
            self.model.num_levels: output.reconstruction,
        }
        values = {
            "rate_per_level": output.rate_per_level,
            OWN: _errors(images, own) if of_each is None else of_each,
            PRIOR: self._prior_errors(images, output, noise),
        }
        if self._refitted is not None:
            values[REFIT] = _errors(images, self._refitted(output.latents))
        return values

    def _prior_errors(self, images, output, noise):
        """Returns the mse with the levels below K at the prior's means, [batch, prefixes]."""
        model, prefixes = self.model, self._prefixes[PRIOR]
        temperature = tf.zeros(model.num_levels)
        condition = None if model.condition is None else model.condition.natural(images)

        def error(num_levels):
            plan = given_prefix(output.latents, num_levels, temperature)
            decoded = model.output(plan, noise, images, condition)
            return mse(images, decoded.reconstruction)

        whole = mse(images, output.reconstruction)  # nothing is left to the prior
        if len(prefixes) == 1:
            return whole[:, None]
        # A loop, so that the graph does not grow with the number of levels.
        errors = tf.map_fn(
            tf.autograph.experimental.do_not_convert(error),
            tf.constant(prefixes[:-1]),
            fn_output_signature=tf.float32,
            parallel_iterations=1,
        )
        return tf.concat([tf.transpose(errors), whole[:, None]], axis=1)


def _errors(images, reconstructions):
    """Returns the mse of each of several reconstructions, [batch, reconstructions]."""
    return tf.stack([mse(images, reconstructions[k]) for k in sorted(reconstructions)], axis=1)
