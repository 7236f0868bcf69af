"""Layer strings: the published notation for the shape of a VDVAE (Child 2020, openai/vdvae).

An encoder string such as ``"32x11,32d2,16x6"`` lists bottom-up blocks: ``RxN`` is N blocks at
resolution R, ``RdF`` one block at resolution R followed by average pooling by F. A decoder string
such as ``"1x1,4m1,4x2"`` lists top-down levels, coarsest first: ``RxN`` is N levels at resolution
R, ``RmS`` one level at resolution R that first adds the up-sampled features of resolution S.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from pcvae.checks import check_integer
from pcvae.errors import UserError

# More than any model has; a string that somebody else wrote may ask for more than there is.
MAX_NUMBER = 9999
_TOKEN = re.compile(r"(\d+)(?:([xdm])(\d+))?")


class EncoderGroup(NamedTuple):
    """Consecutive bottom-up blocks of one shape: one stack."""

    resolution: int
    first_block: int
    num_blocks: int
    pool: int | None  # average pooling after the (only) block, or None


class DecoderGroup(NamedTuple):
    """Consecutive top-down levels of one shape: one stack."""

    resolution: int
    first_level: int
    num_levels: int
    mixin: int | None  # resolution whose up-sampled features are added first, or None


def _parse(string, operator, what):
    """Returns [(resolution, count, argument of the operator or None)], one for each token."""
    tokens = []
    for text in str(string).split(","):
        match = _TOKEN.fullmatch(text.strip())
        if match is None or match[2] not in (None, "x", operator):
            raise UserError(
                f"{what}: expected tokens like '8x2' or '8{operator}2', got {text.strip()!r} "
                f"in {string!r}"
            )
        if max(len(match[1]), len(match[3] or "")) > len(str(MAX_NUMBER)):
            raise UserError(f"{what}: numbers go up to {MAX_NUMBER:,}, got {text.strip()[:40]!r}")
        resolution, argument = int(match[1]), int(match[3] or 1)
        if resolution < 1 or argument < 1:
            raise UserError(f"{what}: numbers must be at least 1, got {text.strip()!r}")
        if match[2] == operator:
            tokens.append((resolution, 1, argument))
        else:
            tokens.append((resolution, argument, None))
    if sum(count for _, count, _ in tokens) > MAX_NUMBER:
        raise UserError(f"{what}: expected at most {MAX_NUMBER:,} blocks in all")
    return tokens


def parse_encoder_blocks(string: str) -> tuple[EncoderGroup, ...]:
    """Parses an encoder string into groups of equal blocks.

    Args:
        string: the encoder's layer string, finest resolution first.

    Returns:
        A tuple of `EncoderGroup`.

    Raises:
        UserError: the string cannot be read, or a block does not fit the resolution reached.
    """
    groups, expected, block = [], None, 0
    for resolution, count, pool in _parse(string, "d", "encoder_blocks"):
        if expected is not None and resolution != expected:
            raise UserError(
                f"encoder_blocks: expected a block at resolution {expected} after the ones "
                f"before it, got resolution {resolution} in {string!r}"
            )
        if pool is not None and resolution % pool:
            raise UserError(f"encoder_blocks: cannot pool resolution {resolution} by {pool}")
        previous = groups[-1] if groups else None
        if previous and pool is None and previous[0] == resolution and previous.pool is None:
            groups[-1] = previous._replace(num_blocks=previous.num_blocks + count)
        else:
            groups.append(EncoderGroup(resolution, block, count, pool))
        block += count
        expected = resolution // pool if pool else resolution
    return tuple(groups)


def parse_decoder_blocks(
    string: str, split_levels: Collection[int] = ()
) -> tuple[DecoderGroup, ...]:
    """Parses a decoder string into groups of equal levels.

    Args:
        string: the decoder's layer string, coarsest resolution first.
        split_levels: level indices at which a new group starts although the shape goes on, so
            that the levels before it can be frozen.

    Returns:
        A tuple of `DecoderGroup`.

    Raises:
        UserError: the string cannot be read, or mixes in a resolution that does not come before.
    """
    groups, seen, level = [], set(), 0
    for resolution, count, mixin in _parse(string, "m", "decoder_blocks"):
        if mixin is not None and mixin not in seen:
            raise UserError(
                f"decoder_blocks: '{resolution}m{mixin}' needs levels at resolution {mixin} "
                f"before it in {string!r}"
            )
        if groups and resolution < groups[-1].resolution:
            raise UserError(
                "decoder_blocks: levels go from coarse to fine, got resolution "
                f"{resolution} after {groups[-1].resolution} in {string!r}"
            )
        if mixin is not None and resolution % mixin:
            raise UserError(f"decoder_blocks: {resolution} is no multiple of {mixin}")
        seen.add(resolution)
        previous = groups[-1] if groups else None
        if previous and mixin is None and previous.resolution == resolution:
            groups[-1] = previous._replace(num_levels=previous.num_levels + count)
        else:
            groups.append(DecoderGroup(resolution, level, count, mixin))
        level += count
    for index in split_levels:
        if not 0 < index < level:
            raise UserError(f"split_levels: expected indices in 1..{level - 1}, got {index}")
        groups = [part for group in groups for part in _split(group, index)]
    return tuple(groups)


def _split(group, index):
    """Splits a group before the level of an index, if that level lies inside it."""
    before = index - group.first_level
    if not 0 < before < group.num_levels:
        return [group]
    after = DecoderGroup(group.resolution, index, group.num_levels - before, mixin=None)
    return [group._replace(num_levels=before), after]


def level_resolutions(groups: Sequence[DecoderGroup]) -> tuple[int, ...]:
    """Returns the resolution of every level, coarsest first."""
    return tuple(group.resolution for group in groups for _ in range(group.num_levels))


def last_level_of_resolutions(groups: Sequence[DecoderGroup]) -> dict[int, int]:
    """Returns {resolution: number of levels up to and with it}, coarsest first.

    The values are the prefixes K at which a resolution is complete.
    """
    return {group.resolution: group.first_level + group.num_levels for group in groups}


def prefix_length(prefix: int | str, resolutions: Sequence[int], what: str = "prefix") -> int:
    """Returns the number of levels K of a prefix z_1:K.

    Args:
        prefix: K itself, or a resolution such as ``"4x4"``: all levels up to and with it.
        resolutions: resolution of each level, coarsest first.
        what: what the number is for, in the message of an error.

    Raises:
        UserError: there is no such prefix; the message lists what there is.
    """
    total = len(resolutions)
    by_name = {f"{side}x{side}": level for level, side in enumerate(resolutions, start=1)}
    if isinstance(prefix, str):
        length = by_name.get(prefix.replace(" ", ""))
    else:
        is_integer = isinstance(prefix, int) and not isinstance(prefix, bool)
        length = prefix if is_integer and 1 <= prefix <= total else None
    if length is None:
        names = ", ".join(f"'{name}' = {level}" for name, level in by_name.items())
        raise UserError(f"{what}: expected 1..{total}, got {prefix!r}; by resolution: {names}")
    return length


def prefix_lengths(
    prefixes: Sequence[int | str], resolutions: Sequence[int], what: str = "prefixes"
) -> tuple[int, ...]:
    """Returns the numbers of levels of several prefixes, ascending; see `prefix_length`.

    Raises:
        UserError: there is no such prefix, or one stands twice.
    """
    if isinstance(prefixes, int | str):
        prefixes = (prefixes,)
    if not isinstance(prefixes, Sequence):
        raise UserError(f"{what}: expected a list such as ('4x4', 7), or (), got {prefixes!r}")
    lengths = sorted(prefix_length(prefix, resolutions, what) for prefix in prefixes)
    twice = [length for length, next_ in zip(lengths, lengths[1:], strict=False) if length == next_]
    if twice:
        raise UserError(f"{what}: the prefix of {twice[0]} levels stands twice in {prefixes!r}")
    return tuple(lengths)


def widths_notation(width_per_resolution: str | Mapping[int, int]) -> str:
    """Returns widths in the published notation: {64: 32, 32: 48} or the string -> "64:32,32:48".

    Raises:
        UserError: the notation cannot be read or a number is not positive.
    """
    given = width_per_resolution or ""
    if not isinstance(given, str):
        if not isinstance(given, Mapping):
            raise UserError(f"width_per_resolution: expected '64:32,32:48', got {given!r}")
        given = ",".join(f"{resolution}:{width}" for resolution, width in given.items())
    given = given.replace(" ", "")
    if given and not re.fullmatch(r"[1-9]\d*:[1-9]\d*(,[1-9]\d*:[1-9]\d*)*", given):
        raise UserError(
            f"width_per_resolution: expected '64:32,32:48' (resolution:width), got {given!r}"
        )
    return given


def width_function(width: int, notation: str) -> Callable[[int], int]:
    """Returns the function from a resolution to its width; see `widths_notation`."""
    check_integer("width", width, 1)
    widths = dict(tuple(map(int, pair.split(":"))) for pair in notation.split(",") if pair)
    return lambda resolution: widths.get(resolution, width)
