"""The level table adds up."""

import re

from pcvae.evaluation import level_table
from pcvae.models import VDVAE


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
    numbers = dict(re.findall(r"^(\w[\w, ]*?)  +([\d,]+) parameters$", text, re.M))
    numbers = {name: int(value.replace(",", "")) for name, value in numbers.items()}
    assert sum(int(row[4].replace(",", "")) for row in rows) == numbers["levels"]
    assert numbers.pop("total") == sum(numbers.values()) == model.count_params()
