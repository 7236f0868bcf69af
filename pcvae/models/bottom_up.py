"""Inference from the image upwards (Burda et al. 2015, arXiv 1509.00519) as Keras models."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from pcvae import units
from pcvae.checks import check_counts, check_number
from pcvae.distributions.gaussian import DiagonalGaussian
from pcvae.distributions.noise import Noise
from pcvae.errors import UserError
from pcvae.layers import make_head
from pcvae.layers.cells.bottom_up import BottomUpCell, drawn_upwards, enlarged
from pcvae.layers.plan import Plan
from pcvae.layers.walk import walk_cells
from pcvae.models.base import HierarchicalModel
from pcvae.models.conditions import UNCONDITIONAL, GivenCondition
from pcvae.models.dense import DenseHierarchy, check_sizes, described, needed_by_prefix
from pcvae.models.description import Level, StageDescription
from pcvae.models.registry import register
from pcvae.outputs import Trace


@register
class BottomUpVAE(DenseHierarchy):
    """Flat latents, drawn upwards by the posterior and downwards by the prior, with tanh layers.

        q(z | x) = q(z_L | x) q(z_L-1 | z_L) ... q(z_1 | z_2),
        p(x, z) = p(z_1) p(z_2 | z_1) ... p(z_L | z_L-1) p(x | z_L).

    z_1, the coarsest, is the h_L of Burda et al. (section 3). Its rate is the KL divergence of
    q(z_1 | z_2) and p(z_1) at the z_2 that was drawn. The prior of a finer level hangs on what was
    drawn from that level, so that its rate is log q(z) - log p(z) at its latent, which may be
    negative. The sum over all levels has the rate as its expectation. The chain rule in the order
    of the levels does not hold: the rate of a prefix z_1:k is that of q(z_1:k | x), which mixes
    over the levels below, and is at most the sum of the first k (convexity).

    With images [28, 28, 1] one layer as published, ``latent_widths=(50,)`` and ``widths=(200,)``,
    has 425,284 parameters; two, ``(50, 100)`` and ``(100, 200)``, have 521,084.

    Args:
        image_shape: (height, width, channels).
        latent_widths: numbers of each latent, z_1 first.
        widths: of the two hidden layers between each latent and the next, or the image.
        **options: see `DenseHierarchy`, also for the errors.
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28, 1),
        latent_widths: Sequence[int] = (50,),
        widths: Sequence[int] = (200,),
        *,
        name: str = "bottom_up_vae",
        **options: Any,
    ) -> None:
        super().__init__(image_shape, latent_widths, widths, name=name, **options)

    @property
    def rates_of_prefixes_are_exact(self) -> bool:
        """Whether there is one level alone."""
        return self.num_levels == 1

    def seen_widths(self) -> Sequence[int]:
        return self.latent_widths

    def posteriors(self, plan: Plan, noise: Noise, x: tf.Tensor) -> list[DiagonalGaussian]:
        return drawn_upwards(self.cells, self.latent_shapes, plan, noise, x)


@register
class ConvolutionalBottomUpVAE(HierarchicalModel):
    """The same for latents [side, side, latent_width], with convolutions (ours); see `BottomUpVAE`.

    Args:
        image_shape: (height, width, channels), height equal to width.
        sides: of each latent, z_1 first; each a divisor of the next, the last of the image's side.
        width: channels of all features.
        latent_width: channels of each latent.
        bottleneck: width of a block's bottleneck as a fraction of the width.
        head: see `layers.make_head`, as for `bit_depth` and `num_mixtures`.
        bit_depth: bits of a pixel.
        num_mixtures: of the head "logistic_mixture".
        frozen: names of weights that are held; see `freeze`.

    Raises:
        UserError: the arguments do not fit together.
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (16, 16, 3),
        sides: Sequence[int] = (4, 8),
        width: int = 32,
        latent_width: int = 8,
        bottleneck: float = 0.5,
        head: str = "logistic_mixture",
        bit_depth: int = 8,
        num_mixtures: int = 3,
        frozen: Sequence[str] = (),
        *,
        name: str = "convolutional_bottom_up_vae",
        dtype: Any = None,
    ) -> None:
        super().__init__(image_shape, name=name, dtype=dtype)
        check_counts(width=width, latent_width=latent_width)
        check_number("bottleneck", bottleneck, 0.0, above=True)
        self.sides = check_sizes("sides", sides)
        self._check_sides()
        self._fields = {
            "width": width,
            "latent_width": latent_width,
            "bottleneck": bottleneck,
            "head": head,
            "bit_depth": bit_depth,
            "num_mixtures": num_mixtures,
        }
        channels, count = self.image_shape[-1], len(self.sides)
        self.cells = [
            BottomUpCell(
                level,
                side,
                latent_width,
                seen_width=latent_width if level < count - 1 else channels,
                width=width,
                middle_width=int(width * bottleneck),
                num_levels=count,
                name=f"level_{level:03d}",
                dtype=self.dtype_policy,
            )
            for level, side in enumerate(self.sides)
        ]
        self.head = make_head(
            head, channels, bit_depth, num_mixtures, dtype=self.dtype_policy, name="head"
        )
        self.build((None, *self.image_shape))
        self.freeze(frozen)

    def _check_sides(self):
        height, width, _ = self.image_shape
        finer = [*self.sides[1:], height]
        if height != width or any(f % s for s, f in zip(self.sides, finer, strict=True)):
            raise UserError(
                "sides: expected divisors, each of the next and the last of the side of square "
                f"images, got {list(self.sides)} for images of {height}x{width}"
            )

    def build(self, input_shape: Any) -> None:
        if self.built:
            return
        for cell in self.cells:
            cell.build()
        self.head.build((None, *self.image_shape[:2], self._fields["width"]))

    @property
    def levels(self) -> tuple[Level, ...]:
        channels = self._fields["latent_width"]
        return tuple(Level((side, side, channels), side) for side in self.sides)

    @property
    def rates_of_prefixes_are_exact(self) -> bool:
        """Whether there is one level alone."""
        return self.num_levels == 1

    def evidence(self, images: tf.Tensor, condition: GivenCondition) -> tf.Tensor:
        """Returns the levels of the pixels on [-1, 1], [batch, height, width, channels]."""
        return units.signed_from_images(images, self.head.bit_depth)

    def walk(
        self,
        plan: Plan,
        noise: Noise,
        num_images: Any,
        evidence: Any = None,
        condition: GivenCondition = UNCONDITIONAL,
        keep: Sequence[str] = (),
    ) -> Trace:
        found, shapes = None, self.latent_shapes
        if plan.reads_evidence:
            found = drawn_upwards(self.cells, shapes, plan, noise, evidence)
        start = tf.zeros([num_images, 1, 1, 1])
        trace = walk_cells(self.cells, start, shapes, plan, noise, found, keep)
        return trace._replace(features=enlarged(trace.features, self.image_shape[0]))

    def weights_of_prefix(self, num_levels: int) -> dict:
        """See `HierarchicalModel`: the whole way upwards is among them."""
        upwards = ("upwards_in", "upwards", "posterior")
        return needed_by_prefix(self, num_levels, upwards, ("latent_projection", "downwards"))

    def describe(self) -> tuple[StageDescription, ...]:
        return (described(self, [self._fields["width"]] * len(self.sides), {}),)

    def get_config(self) -> dict:
        return {
            "name": self.name,
            "dtype": self.dtype_policy.name,
            "image_shape": list(self.image_shape),
            "sides": list(self.sides),
            **self._fields,
            "frozen": list(self.frozen_weights),
        }
