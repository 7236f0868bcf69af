"""--gin.NAME=VALUE becomes a gin binding that means what was typed."""

import gin
import pytest

from pcvae import gin_utils
from pcvae.errors import UserError


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("--gin.X=100", 100),
        ("--gin.X=1e-3", 1e-3),
        ("--gin.X=-2.5", -2.5),
        ("--gin.X=None", None),
        ("--gin.X=True", True),
        ("--gin.X='a b'", "a b"),
        ('--gin.X="it\'s"', "it's"),
        ("--gin.X=(1, 0.5)", (1, 0.5)),
        ("--gin.X={'a': [1]}", {"a": [1]}),
        ("--gin.X=word", "word"),
        ("--gin.X=folder:/x y", "folder:/x y"),
        ("--gin.X=/data/it's #1=2", "/data/it's #1=2"),
        ("--gin.X=32x11,32d2", "32x11,32d2"),
        ("--gin.X=3 4", "3 4"),
        ("--gin.X=C:\\new\\table", "C:\\new\\table"),
        ("--gin.X=1\nY = 2", "1\nY = 2"),
        ("-gin.X=5", 5),
        ("--gin.X=a=b", "a=b"),
        ("--gin.X=\u00fcber/\u96ea", "\u00fcber/\u96ea"),
    ],
)
def test_the_value_arrives_as_typed(argument, value):
    (rewritten,) = gin_utils.rewrite_gin_args([argument])
    flag, _, statement = rewritten.partition("=")
    assert flag == "--gin_bindings"
    gin.parse_config(statement)
    assert gin.query_parameter("X/gin.macro.value") == value


def test_dotted_and_scoped_names_and_references():
    assert gin_utils.rewrite_gin_args(
        ["--gin.models.VDVAE.width=64", "--gin.eval/data.from_spec.spec=x", "--gin.M=@models.VDVAE"]
    ) == [
        "--gin_bindings=models.VDVAE.width = 64",
        "--gin_bindings=eval/data.from_spec.spec = 'x'",
        "--gin_bindings=M = @models.VDVAE",
    ]


def test_other_arguments_stay():
    argv = ["--run_dir=gin.X=1", "--gin_file=a.gin", "word", "--", "--gin.X=1"]
    assert gin_utils.rewrite_gin_args(argv) == argv


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--gin.STEPS", "with '='"),
        ("--gin.=5", "not a name"),
        ("--gin.a..b=5", "not a name"),
        ("--gin.a b=5", "not a name"),
        ("--gin.STEPS=", "no value"),
        ("--gin.X=[1, 2", "broken gin syntax"),
        ("--gin.X='open", "broken gin syntax"),
        ("--gin.X=@models.", "broken gin syntax"),
        ("--gin.X=false", "write False"),
        ("--gin.X=none", "write None"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(argument, says):
    with pytest.raises(UserError, match=says) as caught:
        gin_utils.rewrite_gin_args([argument, "100"])
    assert "\n" not in str(caught.value)
