"""The top-down walk: every level of latents, coarsest first (Child 2020, figure 3)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from pcvae.distributions.noise import Noise
from pcvae.layers.cells import DeterministicLevel, Site, VDVAECell, checked_posterior, read_as
from pcvae.layers.depth import LevelFunctions
from pcvae.layers.levels import DecoderGroup
from pcvae.layers.plan import Plan
from pcvae.layers.top_down_pass import TopDownPass
from pcvae.layers.walk import LATENT, check_keep, walk_level
from pcvae.outputs import Trace


class UnsharedActivations(NamedTuple):
    """Activations of two encoders: one for the posterior of a prefix, one for that of the rest."""

    prefix: dict  # {resolution: [batch, r, r, width]}, for levels before `num_levels`
    rest: dict  # {resolution: [batch, r, r, width]}, for the others
    num_levels: int

    def at(self, group: DecoderGroup) -> tf.Tensor:
        """Returns the activations that the levels of a group see."""
        own = self.prefix if group.first_level < self.num_levels else self.rest
        return own[group.resolution]


@keras.saving.register_keras_serializable(package="pcvae")
class TopDown(TopDownPass):
    """Levels z_1 ... z_L from coarse to fine; makes features at the resolution of the image.

    All uses are one `walk`, whose plan says where the latents come from.

    Args:
        blocks: the layer string; see `TopDownPass`, also for the arguments that are not listed.
        width: channels at every resolution that `width_per_resolution` does not name.
        cell: what one level computes: a registered class of `ConvolutionalLevel` that is a `Cell`,
            or its registered name.
        posterior: how the cell's posterior is read, "absolute" or "residual"; see
            `ResidualPosterior`. None for the cell's usual one.
        gated: whether a condition enters every level through a gate that starts closed.
        **kwargs: the other arguments of `TopDownPass`, and those of a Keras layer.

    Raises:
        UserError: the arguments do not fit together.
    """

    def __init__(
        self,
        blocks: str,
        width: int,
        cell: type | str = VDVAECell,
        posterior: str | None = None,
        gated: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(blocks, width, **kwargs)
        is_name = isinstance(cell, str)
        self.cell_class = keras.saving.get_registered_object(cell) if is_name else cell
        self.posterior = checked_posterior(posterior, self.cell_class)
        self.gated = gated

    def _make_level(self, group, **arguments):
        if self.has_latents(group):
            return self.cell_class(latent_width=self.latent_width, gated=self.gated, **arguments)
        return DeterministicLevel(gated=self.gated, **arguments)

    def call(self, num_images: Any, plan: Plan, noise: Noise, evidence: Any = None) -> Trace:
        """See `walk`."""
        return self.walk(num_images, plan, noise, evidence)

    def walk(
        self,
        num_images: Any,
        plan: Plan,
        noise: Noise,
        evidence: Any = None,
        condition: dict | None = None,
        keep: Sequence[str] = (),
    ) -> Trace:
        """Draws or takes the latent of every level in turn, as the plan says.

        Run eagerly it calls the plan level by level with values; in a graph the plan is traced once
        for each stack.

        Args:
            num_images: number of examples, an integer or a tensor.
            plan: where latents come from.
            noise: level i draws at site i.
            evidence: what the posterior sees: {resolution: [batch, r, r, width]}, the encoder's
                activations, or an `UnsharedActivations`. For plans that read it.
            condition: for a gated walk, {resolution: [batch, r or 1, r or 1, width]}.
            keep: what else to keep of each level, keys of `KEPT`.

        Returns:
            A `Trace`.

        Raises:
            UserError: a rate map is to be kept of a walk without a posterior.
        """
        check_keep(plan, keep)
        columns, functions = [], LevelFunctions()

        def level(cell, h, index, *inputs):
            *inputs, seen, here = inputs
            if here is not None:
                h = cell.enter(h, here)
            site = Site(index, (tf.shape(h)[0], *h.shape[1:-1], self.latent_width))
            cell = read_as(self.posterior, cell)
            return walk_level(cell, h, site, plan, noise, seen, inputs, keep)

        def run(group, stack, features):
            here = None if condition is None else condition[group.resolution]
            if not self.has_latents(group):
                return stack.scan(_without_latents, features, shared=(here,), functions=functions)[
                    0
                ]
            seen = _evidence_at(evidence, group) if plan.reads_evidence else None
            levels = slice(group.first_level, group.first_level + group.num_levels)
            kept = tf.TensorSpec((features.shape[0], *self.latent_shape(group)))
            features, outputs = stack.scan(
                level,
                features,
                per_level=(tf.range(levels.start, levels.stop), *plan.at(levels).inputs()),
                output_specs=[tf.TensorSpec((features.shape[0],)), *(kept for _ in keep)],
                shared=(seen, here),
                functions=functions,
            )
            columns.append(outputs)
            return features

        features = self._pass(num_images, run)
        rates, *stacked = zip(*columns, strict=True)
        kept = {
            name: tuple(z for values in of_stacks for z in tf.unstack(values))
            for name, of_stacks in zip(keep, stacked, strict=True)
        }
        rate_per_level = tf.transpose(tf.concat(rates, axis=0))
        return Trace(features, kept.pop(LATENT, ()), rate_per_level, kept)

    def latent_shape(self, group: DecoderGroup) -> tuple[int, int, int]:
        """Returns (side, side, latent_width) of the latents of a group."""
        return (group.resolution, group.resolution, self.latent_width)

    def get_config(self) -> dict:
        cell = keras.saving.get_registered_name(self.cell_class)
        own = {"cell": cell, "posterior": self.posterior, "gated": self.gated}
        return {**super().get_config(), **own}


def _without_latents(level, h, condition):
    """The step of a level without a latent."""
    return level(h if condition is None else level.enter(h, condition)), ()


def _evidence_at(evidence, group):
    """Returns what the levels of a group see of the evidence."""
    if isinstance(evidence, UnsharedActivations):
        return evidence.at(group)
    return evidence[group.resolution]
