"""The published notation of layer strings."""

import pytest

from pcvae.errors import UserError
from pcvae.layers import levels


def test_encoder_groups_are_runs_of_equal_blocks():
    groups = levels.parse_encoder_blocks("8x2,8x1,8d2,4x1,4d4,1x3")
    assert [tuple(group) for group in groups] == [
        (8, 0, 3, None),
        (8, 3, 1, 2),
        (4, 4, 1, None),
        (4, 5, 1, 4),
        (1, 6, 3, None),
    ]


def test_a_level_that_mixes_in_shares_the_stack_of_its_resolution():
    groups = levels.parse_decoder_blocks("1x2,4m1,4x3,8m4")
    assert [tuple(group) for group in groups] == [(1, 0, 2, None), (4, 2, 4, 1), (8, 6, 1, 4)]
    assert levels.level_resolutions(groups) == (1, 1, 4, 4, 4, 4, 8)
    assert levels.last_level_of_resolutions(groups) == {1: 2, 4: 6, 8: 7}


def test_split_levels_start_a_stack_and_change_nothing_else():
    plain = levels.parse_decoder_blocks("1x2,4m1,4x3,8m4")
    split = levels.parse_decoder_blocks("1x2,4m1,4x3,8m4", split_levels=(2, 4))
    assert [tuple(group) for group in split] == [
        (1, 0, 2, None),
        (4, 2, 2, 1),
        (4, 4, 2, None),
        (8, 6, 1, 4),
    ]
    assert levels.level_resolutions(split) == levels.level_resolutions(plain)
    assert levels.last_level_of_resolutions(split) == levels.last_level_of_resolutions(plain)


@pytest.mark.parametrize(
    ("string", "message"),
    [
        ("8y2", "8y2"),
        ("", "expected tokens"),
        ("8x0", "at least 1"),
        ("8m4", "expected tokens"),
        ("8x1,4x1", "expected a block at resolution 8"),
        ("8d2,8x1", "expected a block at resolution 4"),
        ("8d3", "cannot pool resolution 8 by 3"),
    ],
)
def test_bad_encoder_strings(string, message):
    with pytest.raises(UserError, match=message) as error:
        levels.parse_encoder_blocks(string)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("string", "message"),
    [
        ("8d2", "expected tokens"),
        ("8m4", "needs levels at resolution 4"),
        ("4x1,6m4", "6 is no multiple of 4"),
        ("1x1,,4m1", "expected tokens"),
    ],
)
def test_bad_decoder_strings(string, message):
    with pytest.raises(UserError, match=message):
        levels.parse_decoder_blocks(string)


@pytest.mark.parametrize("index", [0, 7, -1])
def test_split_levels_lie_inside(index):
    with pytest.raises(UserError, match="1..6"):
        levels.parse_decoder_blocks("1x2,4m1,4x3,8m4", split_levels=(index,))


@pytest.mark.parametrize(
    ("prefix", "length"), [(1, 1), (5, 5), ("1x1", 2), (" 4x4", 4), ("8x8", 5)]
)
def test_a_prefix_is_a_number_of_levels_or_a_resolution(prefix, length):
    assert levels.prefix_length(prefix, (1, 1, 4, 4, 8)) == length


@pytest.mark.parametrize("prefix", [0, 6, -1, True, 2.0, None, "2x2", "4", "4x8", ""])
def test_an_unknown_prefix_is_one_line_that_lists_what_there_is(prefix):
    with pytest.raises(UserError) as error:
        levels.prefix_length(prefix, (1, 1, 4, 4, 8), "num_latent_levels")
    message = str(error.value)
    assert message.startswith(f"num_latent_levels: expected 1..5, got {prefix!r}")
    assert "'1x1' = 2, '4x4' = 4, '8x8' = 5" in message
    assert "\n" not in message


def test_several_prefixes_ascend_and_none_stands_twice():
    assert levels.prefix_lengths(("8x8", 1, "4x4"), (1, 1, 4, 4, 8)) == (1, 4, 5)
    assert levels.prefix_lengths("4x4", (1, 1, 4, 4, 8)) == (4,)
    assert levels.prefix_lengths((), (1, 1, 4, 4, 8)) == ()
    with pytest.raises(UserError, match="prefix of 4 levels stands twice"):
        levels.prefix_lengths(("4x4", 4), (1, 1, 4, 4, 8))


def test_widths_in_both_notations():
    assert levels.widths_notation({64: 32, 32: 48}) == "64:32,32:48"
    assert levels.widths_notation(" 64:32, 32:48") == "64:32,32:48"
    assert levels.widths_notation(None) == levels.widths_notation({}) == ""
    width_at = levels.width_function(8, "64:32,32:48")
    assert [width_at(side) for side in (64, 32, 16)] == [32, 48, 8]


@pytest.mark.parametrize("notation", ["64", "64:", "64:0", "a:b", "64:32;32:48", {64: -1}])
def test_bad_widths(notation):
    with pytest.raises(UserError, match="width_per_resolution"):
        levels.widths_notation(notation)
