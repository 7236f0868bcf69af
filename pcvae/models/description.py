"""What a model says of itself: its levels of latents, and the rows of the level table."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from pcvae.models.conditions import Condition

NUM_GROUPS = 10  # of equal levels


class Level(NamedTuple):
    """One level of latents."""

    shape: tuple  # of the latent of one example
    resolution: int  # side of the features that it enters
    stage: int = 0  # of a composed model
    # Of levels that are shown as one; names sort in the order of the levels. None for those of its
    # resolution.
    group: str | None = None


# What follows from the levels of a model: properties of every `HierarchicalModel`.


def num_levels(model: Any) -> int:
    """Number of levels of latents."""
    return len(model.levels)


def level_resolutions(model: Any) -> tuple[int, ...]:
    """Resolution of each level."""
    return tuple(level.resolution for level in model.levels)


def level_groups(model: Any) -> tuple[int | str, ...]:
    """Group of each level: its resolution, if it has no other."""
    return tuple(level.group or level.resolution for level in model.levels)


def latent_shapes(model: Any) -> tuple[tuple, ...]:
    """Shape of each latent, without the batch."""
    return tuple(level.shape for level in model.levels)


def prefixes(model: Any) -> tuple[int, ...]:
    """Numbers of levels K of the prefixes at which a group of a stage is complete."""
    return ends(model.levels, lambda level: (level.stage, level.group or level.resolution))


def stage_ends(model: Any) -> tuple[int, ...]:
    """Number of levels up to and with each stage."""
    return ends(model.levels, lambda level: level.stage)


def ends(levels: tuple[Level, ...], key: Callable) -> tuple[int, ...]:
    """Returns the number of levels up to and with the last of each key, in order."""
    return tuple({key(level): number for number, level in enumerate(levels, 1)}.values())


def groups_of(num_levels: int) -> list[str]:
    """Returns the group of each of many equal levels: ten groups, named by their levels.

    Args:
        num_levels: how many levels there are.

    Returns:
        A name for each level, such as ``"000-099"`` for the first hundred of a thousand.
    """
    ends = [-(-number * num_levels // NUM_GROUPS) for number in range(NUM_GROUPS + 1)]
    digits = len(str(num_levels - 1))
    return [
        f"{first:0{digits}d}-{end - 1:0{digits}d}"
        for first, end in itertools.pairwise(ends)
        for _ in range(first, end)
    ]


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
