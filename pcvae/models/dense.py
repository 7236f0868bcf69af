"""What dense hierarchies have in common: their sizes, their levels, and logits for each pixel."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from pcvae import units
from pcvae.checks import check_bytes, check_integer
from pcvae.distributions.noise import Noise
from pcvae.errors import UserError
from pcvae.layers import make_head
from pcvae.layers.cells.dense import DenseCell
from pcvae.layers.plan import Plan
from pcvae.layers.residual import dense
from pcvae.layers.walk import walk_cells
from pcvae.models.base import HierarchicalModel
from pcvae.models.conditions import UNCONDITIONAL, GivenCondition
from pcvae.models.description import Level, LevelRow, StageDescription
from pcvae.models.recorded import BYTES_PER_WEIGHT
from pcvae.outputs import Trace


class DenseHierarchy(HierarchicalModel):
    """Levels of flat latents with dense networks; p(x | z) hangs on the last latent alone.

    A subclass says what one level is, how wide the levels see each other, and how the posteriors
    are found.

    Args:
        image_shape: (height, width, channels).
        latent_widths: numbers of each latent, z_1 first.
        widths: of the hidden layers of each level, between its latent and the next one, or the
            image.
        head: "bernoulli", "gaussian" or "logistic_mixture"; its parameters are what the last dense
            layer gives. Images are read with the bits that the head models.
        bit_depth: bits of a pixel; 1 for "bernoulli".
        num_mixtures: of "logistic_mixture".
        frozen: names of weights that are held; see `freeze`.

    Raises:
        UserError: the arguments do not fit together.
    """

    cell_class: ClassVar[type[DenseCell]] = DenseCell
    normalised: ClassVar[bool] = False

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_widths: Sequence[int],
        widths: Sequence[int],
        head: str = "bernoulli",
        bit_depth: int = 1,
        num_mixtures: int = 3,
        frozen: Sequence[str] = (),
        *,
        name: str,
        dtype: Any = None,
    ) -> None:
        super().__init__(image_shape, name=name, dtype=dtype)
        self.latent_widths = check_sizes("latent_widths", latent_widths)
        self.widths = check_sizes("widths", widths)
        if len(widths) != len(latent_widths):
            raise UserError(
                f"widths: expected one for each of the {len(latent_widths)} latent_widths, got "
                f"{len(widths)}"
            )
        self._head_fields = {"head": head, "bit_depth": bit_depth, "num_mixtures": num_mixtures}
        pixels, policy = units.num_dims(self.image_shape), self.dtype_policy
        least = pixels * self.widths[-1] + sum(width * width for width in self.widths)
        what = f"a model with widths={self.widths}"
        check_bytes(what, BYTES_PER_WEIGHT * least, "its weights", ": give smaller widths")
        seen = [*self.seen_widths()[1:], pixels]
        self.cells = [
            self.cell_class(
                level,
                latent_width,
                width,
                width_above=above,
                seen_width=below,
                normalised=self.normalised,
                name=f"level_{level:03d}",
                dtype=policy,
            )
            for level, (latent_width, width, above, below) in enumerate(
                zip(self.latent_widths, self.widths, (1, *self.widths[:-1]), seen, strict=True)
            )
        ]
        self.head = make_head(
            head,
            self.image_shape[-1],
            bit_depth,
            num_mixtures,
            has_projection=False,
            name="head",
        )
        self.build((None, *self.image_shape))
        self.freeze(frozen)

    def build(self, input_shape: Any) -> None:
        if self.built:
            return
        for cell in self.cells:
            cell.build()
        shape = self._params_shape
        # In float32, as what heads make of features.
        self.to_pixels = dense(int(np.prod(shape)), self.widths[-1], "float32", "pixels")
        self.head.build((None, *shape))

    @property
    def _params_shape(self):
        return (*self.image_shape[:2], self.head.num_params)

    @property
    def levels(self) -> tuple[Level, ...]:
        return tuple(Level((latent_width,), 1) for latent_width in self.latent_widths)

    @abc.abstractmethod
    def seen_widths(self) -> Sequence[int]:
        """Returns how many numbers of each level the level above it sees on the way upwards."""

    @abc.abstractmethod
    def posteriors(self, plan: Plan, noise: Noise, x: tf.Tensor) -> Any:
        """Returns what the way upwards has found, as the cells take it.

        Args:
            plan: that of the walk.
            noise: that of the walk.
            x: [batch, pixels] on [-1, 1].
        """

    def evidence(self, images: tf.Tensor, condition: GivenCondition) -> tf.Tensor:
        """Returns the levels of the pixels on [-1, 1], [batch, pixels]."""
        signed = units.signed_from_images(images, self.head.bit_depth)
        return tf.reshape(signed, [-1, units.num_dims(self.image_shape)])

    def walk(
        self,
        plan: Plan,
        noise: Noise,
        num_images: Any,
        evidence: Any = None,
        condition: GivenCondition = UNCONDITIONAL,
        keep: Sequence[str] = (),
    ) -> Trace:
        found = self.posteriors(plan, noise, evidence) if plan.reads_evidence else None
        start = tf.zeros([num_images, 1])
        trace = walk_cells(self.cells, start, self.latent_shapes, plan, noise, found, keep)
        features = self.to_pixels(tf.cast(trace.features, tf.float32))
        return trace._replace(features=tf.reshape(features, [-1, *self._params_shape]))

    def weights_of_prefix(self, num_levels: int) -> dict:
        """See `HierarchicalModel`: the whole way upwards is among them."""
        return needed_by_prefix(self, num_levels, ("upwards", "posterior"), ("downwards",))

    def describe(self) -> tuple[StageDescription, ...]:
        return (described(self, self.widths, {"pixels": self.to_pixels}),)

    def get_config(self) -> dict:
        return {
            "name": self.name,
            "dtype": self.dtype_policy.name,
            "image_shape": list(self.image_shape),
            "latent_widths": list(self.latent_widths),
            "widths": list(self.widths),
            **self._head_fields,
            "frozen": list(self.frozen_weights),
        }


def check_sizes(name: str, sizes: Sequence[int]) -> tuple[int, ...]:
    """Returns the sizes of levels; UserError unless they are counts, one at least."""
    if not isinstance(sizes, list | tuple) or not sizes:
        raise UserError(f"{name}: expected a number for each level, got {sizes!r}")
    return tuple(check_integer(f"{name}[{i}]", size, 1) for i, size in enumerate(sizes))


def needed_by_prefix(
    model: HierarchicalModel, num_levels: int, upwards: Sequence[str], downwards: Sequence[str]
) -> dict:
    """Returns {name: variable} of what p(z_1:K) and q(z_1:K | x) are computed from.

    Args:
        model: with ``cells`` named ``level_000`` and so on, each with a ``prior``.
        num_levels: K.
        upwards: names of the layers of a cell by which posteriors are found; all cells' are needed.
        downwards: those of what a cell makes of its latent for the next one.
    """
    parts = {(f"level_{level:03d}", "prior") for level in range(num_levels)}
    parts |= {(f"level_{level:03d}", part) for level in range(num_levels - 1) for part in downwards}
    named = ((name.split("/"), name, w) for name, w in model.named_weights.items())
    return {n: w for path, n, w in named if path[1] in upwards or tuple(path[:2]) in parts}


def described(
    model: HierarchicalModel, widths: Sequence[int], others: dict[str, keras.layers.Layer]
) -> StageDescription:
    """Returns the description of a model of cells, each a level.

    Args:
        model: with ``cells`` and a ``head``.
        widths: of the levels.
        others: {part: its layer}, what there is beside cells and head.
    """
    rows = tuple(
        LevelRow(level.resolution, width, int(np.prod(level.shape)), cell.count_params())
        for level, width, cell in zip(model.levels, widths, model.cells, strict=True)
    )
    parts = {"levels": sum(row.num_params for row in rows)}
    parts |= {name: layer.count_params() for name, layer in others.items()}
    parts["head"] = model.head.count_params()
    return StageDescription(model.image_shape, None, model.num_levels, rows, parts)
