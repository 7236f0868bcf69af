"""What the tables of `benchmarks/` are computed from; none of their times."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from pcvae.models import VDVAE

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Returns a function that imports a file of `benchmarks/` by its name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def test_the_arithmetic_of_a_model_is_that_of_its_kernels(script):
    """Each kernel is applied at each pixel of its resolution."""
    work = {"encoder": "8x1,8d2,4x2,4d4,1x1", "decoder": "1x2,4m1,4x1,8m4,8x2", "width": 8}
    model = VDVAE(encoder_blocks=work["encoder"], decoder_blocks=work["decoder"], width=8)
    kernels = {"encoder/in_conv/kernel": 8, "head/projection/kernel": 8}
    for part, groups in (("encoder/blocks", model.encoder), ("decoder/levels", model.decoder)):
        for group in groups.groups:
            first = group.first_block if part == "encoder/blocks" else group.first_level
            for name in model.named_weights:
                if name.startswith(f"{part}_{first:03d}/") and name.endswith("kernel"):
                    kernels[name] = group.resolution
    assert kernels.keys() == {name for name in model.named_weights if name.endswith("kernel")}
    weights = model.named_weights
    expected = sum(side**2 * int(np.prod(weights[name].shape)) for name, side in kernels.items())
    assert script("arithmetic").multiply_adds(work) == expected


@pytest.mark.parametrize(("preset", "gflop"), [("cifar10", 134), ("imagenet64", 895)])
def test_the_arithmetic_of_the_published_presets(preset, gflop, script):
    presets = script("gpu").PRESETS
    assert round(script("arithmetic").training_flop(presets[preset]) / 1e9) == gflop


@pytest.mark.parametrize(
    ("name", "peaks"),
    [
        ("NVIDIA A100-SXM4-80GB", (19.5, 156.0, 312.0)),
        ("NVIDIA H100 PCIe", (51.0, 378.0, 756.0)),
        ("NVIDIA H100 80GB HBM3", (67.0, 494.5, 989.0)),
        ("Tesla V100-SXM2-16GB", (15.7, None, None)),
        ("NVIDIA RTX A4000", (None, None, None)),
    ],
)
def test_a_peak_is_found_by_the_name_of_the_gpu(name, peaks, script):
    gpu = script("gpu")
    assert tuple(gpu.peak_tflops(name, precision) for precision in gpu.PRECISIONS) == peaks
    assert gpu.peak_tflops(name, "bfloat16", (1.0, 2.0, 3.0)) == 3.0


def test_a_line_is_the_arithmetic_over_the_time(script):
    gpu = script("gpu")
    work, cell = gpu.PRESETS["cifar10"], ("cifar10", "float32", "pcvae", 2)
    found = {"seconds": [0.2, 0.1, 0.4], "memory_gb": 3.0, "first_s": 60.0}
    columns = gpu.line(cell, found, work, 100.0)
    tflops = 64 * 0.134356 / 0.2
    assert columns[4:7] == ("320.0", f"{tflops:.3g}", f"{tflops / 2:.1f} %")
    assert gpu.line(cell, "out of memory", work, 100.0) == (*cell, "out of memory")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "out of memory"),
        ("raise MemoryError", "out of memory"),
        ("raise KeyError('preset')", "ended with 1: KeyError: 'preset'"),
        ("input(); import time; time.sleep(60)", "over 0.2 s at 'step'"),
    ],
)
def test_a_side_that_ends_says_why(program, reason, script, monkeypatch, tmp_path):
    sides, child = script("sides"), tmp_path / "child.py"
    child.write_text(program)
    monkeypatch.setattr(sides, "__file__", str(child))
    process = sides.Process(sys.executable, "ours", {})
    with pytest.raises(sides.SideEnded) as ended:
        process.ask("step", 0.2 if "sleep" in program else None)
    assert str(ended.value) == reason
