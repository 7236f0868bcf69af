"""The level table adds up."""

import re

from pcvae.measure import level_table
from pcvae.models import DDPM, VDVAE, StagedVAE
from tests.models import tiny


def test_levels_and_totals_add_up():
    model = VDVAE(
        image_shape=(8, 8, 3),
        encoder_blocks="8x1,8d2,4x1,4d4,1x1",
        decoder_blocks="1x1,4m1,4x1,8m4,8x1",
        width=8,
        latent_width=2,
        width_per_resolution={4: 12, 1: 16},
        num_latent_levels=4,
    )
    text = level_table(model)
    rows = [line.split() for line in text.splitlines()[1:6]]
    assert [row[:3] for row in rows] == [
        ["0", "1x1", "16"],
        ["1", "4x4", "12"],
        ["2", "4x4", "12"],
        ["3", "8x8", "8"],
        ["4", "8x8", "8"],
    ]
    assert [row[3] for row in rows] == ["2", "32", "32", "128", "0"]
    numbers = numbers_of(text)
    assert sum(int(row[4].replace(",", "")) for row in rows) == numbers["levels"]
    assert numbers.pop("total") == sum(numbers.values()) == model.count_params()


def test_stages_add_up_and_their_levels_are_counted_through():
    stages = [tiny.first_stage()]
    stages.append(tiny.next_stage(stages))
    model = StagedVAE(stages)
    table, *of_stages, whole = level_table(model).split("\n\n")
    rows = [line.split()[:5] for line in table.splitlines()[1:]]
    assert rows == [
        ["1", "0", "1x1", "8", "2"],
        ["1", "-", "4x4", "8", "0"],
        ["2", "1", "1x1", "8", "2"],
        ["2", "2", "4x4", "8", "32"],
    ]
    for text, stage in zip(of_stages, stages, strict=True):
        numbers = numbers_of(text)
        assert numbers.pop("total") == sum(numbers.values()) == stage.count_params()
    assert "given          uint8 images of shape (4, 4, 3)" in of_stages[1]
    assert numbers_of(whole)["total"] == model.count_params()
    assert "latents        36" in whole


def test_of_a_thousand_levels_equal_ones_share_a_row():
    model = DDPM((4, 4, 3), width=4, multipliers=(1,), attention_resolutions=())
    header, row, empty, *_ = level_table(model).splitlines()
    assert row.split() == ["0-999", "4x4", "4", "48", "0"]
    assert header.startswith("level") and not empty


def numbers_of(text):
    """Returns {name: number} of the lines of parameters."""
    numbers = dict(re.findall(r"^(\w[\w, ]*?) +([\d,]+) parameters$", text, re.M))
    return {name: int(value.replace(",", "")) for name, value in numbers.items()}
