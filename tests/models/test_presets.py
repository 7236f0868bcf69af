"""Layer strings that follow from the side of the images."""

import pytest

from pcvae.errors import UserError
from pcvae.models import VDVAE, small_vdvae
from pcvae.models.presets import small_layer_strings


@pytest.mark.parametrize("side", [2, 3, 6, 7, 16, 28, 48, 128])
def test_a_model_for_every_side_that_halves(side):
    model = small_vdvae((side, side, 1), width=4, min_width=4, max_width=8)
    assert model.image_shape == (side, side, 1)
    assert model.level_resolutions[0] == 1


def test_levels_may_begin_at_a_finer_resolution():
    assert small_layer_strings(16) == ("16d2,8x1,8d2,4x1,4d4,1x1", "1x2,4m1,4x1,8m4,8x1,16m8")
    assert small_layer_strings(16, coarsest_resolution=8) == ("16d2,8x1", "8x2,16m8")
    deep = small_layer_strings(8, halves_down_to=2)
    assert deep == ("8x1,8d2,4x1,4d2,2x1,2d2,1x1", "1x2,2m1,2x1,4m2,4x1,8m4,8x1")
    model = small_vdvae((16, 16, 1), width=4, min_width=4, coarsest_resolution=4)
    assert model.level_resolutions == (4, 4, 8, 8, 16)
    with pytest.raises(UserError, match="expected one of 16, 8, 4, 1, got 2"):
        small_vdvae((16, 16, 1), coarsest_resolution=2)


def test_an_encoder_beyond_the_levels_is_refused():
    """No gradient would reach its coarsest blocks."""
    strings = {"encoder_blocks": "8d2,4d4,1x1", "decoder_blocks": "4x1,8m4"}
    with pytest.raises(UserError, match="down to resolution 1, which no level sees: .* begin at 4"):
        VDVAE((8, 8, 1), width=4, **strings)


def test_prefixes_go_through():
    model = small_vdvae((8, 8, 1), width=4, num_latent_levels="4x4", prefix_decoders=("1x1",))
    assert model.level_resolutions[-1] == 4
    assert [decoder.num_levels for decoder in model.prefix_decoders] == [model.prefixes[0]]


@pytest.mark.parametrize(
    ("name", "value", "low"),
    [
        *((name, 0, 1) for name in ("width", "min_width", "max_width", "latent_width")),
        ("levels_per_resolution", 0, 1),
        ("blocks_per_resolution", -1, 0),
        ("width", 8.0, 1),
        ("min_width", "8", 1),
        ("levels_per_resolution", True, 1),
    ],
)
def test_sizes_are_refused_under_the_name_that_the_user_gave(name, value, low):
    with pytest.raises(UserError, match=f"{name}: .* {low}, got {value!r}"):
        small_vdvae((8, 8, 1), **{name: value})


@pytest.mark.parametrize("side", [1, 9, 11, 18, 31, 33, 50])
def test_other_sides_are_refused_with_the_remedy(side):
    with pytest.raises(UserError, match=f"image size {side} .*32, 48"):
        small_layer_strings(side)
