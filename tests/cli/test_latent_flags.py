"""The commands on latents: what their flags ask of pcvae.runs, and what they refuse."""

import os

import pytest

from pcvae.cli.commands import decode, encode, interpolate, swap, traverse
from pcvae.cli.latent_flags import parse_levels
from pcvae.errors import UserError

EDIT = {"below": "keep", "temperature": 0.0, "seed": 0}
PAIR = {"first": "exp.gin", "second": "exp.gin", "num_images": 8}


def test_flags_are_handed_on(stand_in, run_dir):
    pair = ["--first=exp.gin", "--second=exp.gin"]
    for main, argv in (
        (encode.main, ["--images=exp.gin"]),
        (decode.main, ["--latents=exp.gin", "--seed=2", "--output=x.npz"]),
        (interpolate.main, [*pair, "--path=lerp", "--num_levels=2"]),
        (traverse.main, ["--images=exp.gin", "--level=3", "--channels=0,2-3"]),
        (swap.main, [*pair, "--levels=0-1", "--below=infer", "--output=x.png"]),
    ):
        assert main([f"--run_dir={run_dir}", *argv]) == 0
    pictures = os.path.join(run_dir, "images")
    place = {"run_dir": run_dir}
    assert stand_in.calls == [
        {**place, "images": "exp.gin", "num_images": 64, "seed": 0, "output": "latents.npz"},
        {**place, "latents": "exp.gin", "temperature": 0.0, "seed": 2, "output": "x.npz"},
        {
            **place,
            **PAIR,
            **EDIT,
            "num_steps": 7,
            "path": "lerp",
            "num_levels": 2,
            "output": os.path.join(pictures, "interpolation.png"),
        },
        {
            **place,
            **EDIT,
            "images": "exp.gin",
            "level": 3,
            "channels": [0, 2, 3],
            "num_steps": 7,
            "reach": 3.0,
            "output": os.path.join(pictures, "traversal_level_003.png"),
        },
        {**place, **PAIR, **EDIT, "below": "infer", "levels": [0, 1], "output": "x.png"},
    ]


@pytest.mark.parametrize(
    ("main", "argv", "says"),
    [
        (encode.main, [], "--images is missing"),
        (encode.main, ["--images=exp.gin", "--output=x.png"], "expected a file name in .npz"),
        (decode.main, ["--latents=nowhere"], "no such file"),
        (interpolate.main, ["--first=exp.gin"], "--second is missing"),
        (interpolate.main, ["--num_steps=17"], "num_steps"),
        (traverse.main, ["--images=exp.gin"], "--level is missing"),
        (swap.main, ["--first=exp.gin", "--second=exp.gin"], "--levels is missing"),
        (
            traverse.main,
            ["--images=exp.gin", "--level=0", "--channels="],
            "--channels=: expected numbers",
        ),
        (swap.main, ["--levels=0", "--below=drop"], "expected one of keep, infer, resample"),
    ],
)
def test_mistakes_are_one_line(stand_in, run_dir, fails, main, argv, says):
    assert says in fails(main, f"--run_dir={run_dir}", *argv)
    assert not stand_in.calls


def test_levels_are_numbers_and_ranges():
    assert parse_levels("0-2, 5,1", "levels") == [0, 1, 2, 5]
    for text in ("", "a", "3-", "-1", "2-1", "0-99999999"):
        with pytest.raises(UserError, match="--levels="):
            parse_levels(text, "levels")
