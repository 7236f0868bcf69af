"""Where the Frechet distance of a model is lost: in the prior of its first levels, or after them.

Samples whose first levels are those of posteriors stand between the model's own samples and the
images: what differs from the one is the prior of these levels, what differs from the other is all
that follows them. Which latents come from where is a plan; the walk is that of sampling.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pcvae.distributions.noise import SeededNoise
from pcvae.measure.features import ImageFeatures, features_of
from pcvae.measure.frechet import frechet_distance
from pcvae.measure.per_image import PerImageEvaluation
from pcvae.models import LATENT, HierarchicalModel, Plan, Prior, posterior_prefix, prefixes_of
from pcvae.quantities import MANY_LEVELS, group_name
from pcvae.tables import number_text

# The paper's choice of the levels that a first stage has: up to an eighth of the image's side.
SHARE_OF_SIDE = 8
_BETWEEN, _OWN_PRIOR, _OWN_POSTERIOR = "between", "own_prior", "own_posterior"


class DecomposedPrefix(NamedTuple):
    """The prefix z_1:K at which a distance is decomposed."""

    num_levels: int
    reason: str  # why there, in words


def decomposed_prefix(
    model: HierarchicalModel, asked: Any, constrained: Iterable[int | None] = ()
) -> DecomposedPrefix | None:
    """Returns the prefix at which a distance is decomposed, or None for no decomposition.

    By default that of a model of stages ends before the last stage; of another one where its
    unshared prefix ends, or else the last prefix below all levels that has a decoder or a target of
    its own. Ours: otherwise it holds the levels up to an eighth of the image's side, or else the
    first resolution; of a model of one resolution, half of the levels.

    Args:
        model: a `HierarchicalModel`.
        asked: whether there is to be one; or where, K or a resolution such as ``"4x4"``; or what
            this function has returned.
        constrained: numbers of levels of the prefixes that the run has a target for.

    Raises:
        UserError: there is no such prefix.
    """
    if asked is None or asked is False:
        return None
    if isinstance(asked, DecomposedPrefix):
        return asked
    if asked is not True:
        return DecomposedPrefix(*prefixes_of(model, (asked,), "decompose_levels"), "as asked for")
    total = model.num_levels
    if len(model.stage_ends) > 1:
        return DecomposedPrefix(model.stage_ends[-2], "the stages before the last")
    unshared = model.architecture and model.architecture.unshared_prefix
    if unshared:
        return DecomposedPrefix(unshared, "the unshared prefix")
    own = [end for end in (*model.readouts, *constrained) if end and end < total]
    if own:
        reason = "the last prefix with a decoder or a target of its own"
        return DecomposedPrefix(max(own), reason)
    inner = [end for end in model.prefixes if end < total]
    side = min(model.image_shape[:2]) // SHARE_OF_SIDE
    coarse = [end for end in inner if model.level_resolutions[end - 1] <= side]
    if coarse:
        return DecomposedPrefix(max(coarse), f"levels up to 1/{SHARE_OF_SIDE} of the image's side")
    if inner:
        return DecomposedPrefix(inner[0], "the levels of the first resolution or group")
    return DecomposedPrefix(max(1, total // 2), "the first half of the levels")


class DecomposedSamples(PerImageEvaluation):
    """Features of the samples that a distance is decomposed by, image by image.

    * ``between``: z_1:K from the posterior of an image, the rest from the prior.
    * ``own_prior`` and ``own_posterior``: what z_1:K alone makes, the image of a stage that ends
      there or that of the prefix's decoder, with z_1:K from the prior and from the posterior; of a
      prefix that has such an image.

    The noise of sample i is that of sample i of ``model.sample``: if the posterior of a prefix
    equals its prior, so do all images.

    Args:
        model: a `HierarchicalModel`; a condition has to follow from the images.
        prefix: where the posterior ends.
        views: {end of a name: extractor}, see `extractor_views`; checked for the images.
        temperature: one number per level.
        pixels: "sample" draws them from the head, "mean" takes its mean.
        batch_size: images at once over all replicas.
    """

    def __init__(
        self,
        model: HierarchicalModel,
        prefix: DecomposedPrefix,
        views: Mapping[str, Callable],
        temperature: Sequence[float] | np.ndarray,
        pixels: str,
        batch_size: int,
    ) -> None:
        super().__init__(batch_size)
        self._model, self._num_levels, self._views = model, prefix.num_levels, views
        self._temperature, self._pixels = temperature, pixels
        self.ends = tuple(views)

    def _replica(self, batch, seed):
        temperature = tf.constant(self._temperature, tf.float32)
        posterior = posterior_prefix(self._num_levels, temperature)
        drawn = {}
        drawn[_BETWEEN], own = self._drawn(posterior, batch, seed)
        if own is not None:
            drawn[_OWN_POSTERIOR] = own
            _, drawn[_OWN_PRIOR] = self._drawn(Prior(temperature), batch, seed)
        return {
            f"{name}{end}": extract(images)
            for name, images in drawn.items()
            for end, extract in self._views.items()
        }

    def _drawn(self, plan: Plan, batch, seed):
        """Returns the images of a plan and those of its prefix alone, or None; uint8."""
        model, images = self._model, batch["images"]
        noise = SeededNoise(seed, batch["first_example"])
        output = model.output(plan, noise, images, keep=(LATENT,))
        readout = model.readouts.get(self._num_levels)
        own = output.stage_reconstructions.get(self._num_levels)
        if readout is not None:
            own = readout(output.latents)
        if self._pixels == "mean":
            whole = model.rounded(output.reconstruction)
        else:
            whole = model.head.sample(output.head_params, model.pixel_noise(noise))
        return whole, None if own is None else model.rounded(own)


def decompose(
    evaluation: DecomposedSamples,
    images: Any,
    samples: Mapping[str, ImageFeatures],
    reference: Mapping[str, ImageFeatures],
    seed: int,
    progress: Callable | None = None,
) -> dict[str, float]:
    """Returns the parts of a Frechet distance, each as drawn and after averaging over 2x2 pixels.

    Args:
        evaluation: a `DecomposedSamples`.
        images: uint8 array-like [num_samples, height, width, channels], whose posteriors are taken.
        samples: {end of a key: `ImageFeatures`} of the model's samples.
        reference: the same of the images that samples are measured against.
        seed: that of the samples.
        progress: None, or a function that wraps the list of batches it iterates over.

    Returns:
        ``frechet_prior_part``, ``frechet_decoder_part`` and, of a prefix with an image of its own,
        ``frechet_prefix_prior_part``, by `pcvae.quantities`; the same with each end.
    """
    drawn = features_of(evaluation, images, seed, progress)
    parts = {}
    for end in evaluation.ends:
        between = drawn[f"{_BETWEEN}{end}"]
        if f"{_OWN_PRIOR}{end}" in drawn:
            own = (drawn[f"{name}{end}"] for name in (_OWN_PRIOR, _OWN_POSTERIOR))
            parts[f"frechet_prefix_prior_part{end}"] = _distance(*own)
        parts[f"frechet_prior_part{end}"] = _distance(samples[end], between)
        parts[f"frechet_decoder_part{end}"] = _distance(between, reference[end])
    return parts


def _distance(first, second):
    return frechet_distance(first.statistics, second.statistics)


def decomposition_lines(record: Mapping[str, Any]) -> list[str]:
    """Returns where the distance of an evaluation was decomposed, and the rates behind, as lines.

    Args:
        record: an evaluation with a decomposition, as in ``results/evaluation.json``.
    """
    protocol, rates = record["frechet_decomposition_protocol"], record["rate_nats_per_level"]
    count = protocol["num_levels"]
    groups = record.get("level_groups", record["level_resolutions"])
    after: dict[str, list[float | None]] = {}
    for group, rate in list(zip(groups, rates, strict=True))[count:]:
        after.setdefault(group_name(group), []).append(rate)
    if len(rates) >= MANY_LEVELS:
        after = {name: [None if None in own else sum(own)] for name, own in after.items()}
    texts = [
        f"{name} {', '.join(number_text(rate, None, 2) for rate in own)}"
        for name, own in after.items()
    ]
    return [
        f"Frechet distance decomposed after {count} of {len(rates)} levels ({protocol['reason']}), "
        f"posteriors {protocol['posteriors']}",
        f"rates after these levels, nats/image: {'; '.join(texts) or 'there is no level'}",
    ]
