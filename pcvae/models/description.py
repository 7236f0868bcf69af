"""What a model says of itself: its levels of latents, and the rows of the level table."""

from collections.abc import Callable
from typing import NamedTuple

from pcvae.models.conditions import Condition


class Level(NamedTuple):
    """One level of latents."""

    shape: tuple  # of the latent of one example
    resolution: int  # side of the features that it enters
    stage: int = 0  # of a composed model


def ends(levels: tuple[Level, ...], key: Callable) -> tuple[int, ...]:
    """Returns the number of levels up to and with the last of each key, in order."""
    return tuple({key(level): number for number, level in enumerate(levels, 1)}.values())


class LevelRow(NamedTuple):
    """What the level table says of one level."""

    resolution: int
    width: int
    num_latents: int
    num_params: int


class StageDescription(NamedTuple):
    """What the level table says of one stage."""

    image_shape: tuple
    condition: Condition | None
    num_levels: int  # with latents
    rows: tuple  # of `LevelRow`, those without latents included
    num_params: dict  # {part: parameters}; the sum over parts is all of the stage
