"""pcvae-export: its flags reach pcvae.runs; mistakes are one line."""

import pytest

from pcvae.cli.commands.export import main


def test_export_hands_on_its_flags(stand_in, run_dir):
    assert main([f"--run_dir={run_dir}", "--output=x"]) == 0
    argv = ["--weights_dtype=bfloat16", "--batch_size=1", "--xla", "--stablehlo_num_samples=4"]
    assert main([f"--run_dir={run_dir}", "--output=x", *argv]) == 0
    names = ("weights_dtype", "batch_size", "xla", "stablehlo_num_samples")
    assert [tuple(call[name] for name in names) for call in stand_in.calls] == [
        ("float32", None, False, None),
        ("bfloat16", 1, True, 4),
    ]
    assert {(call["run_dir"], call["output"]) for call in stand_in.calls} == {(run_dir, "x")}


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "--output is missing"),
        (["--output=x", "--weights_dtype=int8"], "expected one of float32, bfloat16, float16"),
        (["--output=x", "--batch_size=0"], "batch_size"),
    ],
)
def test_mistakes_are_one_line(stand_in, run_dir, fails, argv, says):
    assert says in fails(main, f"--run_dir={run_dir}", *argv)
    assert not stand_in.calls
