"""A training step of the published sizes on GPUs: speed, share of the peak, memory, first step.

python benchmarks/gpu.py [--peer=CHECKOUT_OF_OPENAI_VDVAE --peer_python=PYTHON_WITH_TORCH]
    [--presets=cifar10,imagenet32,imagenet64] [--precisions=float32,TF32,bfloat16] [--xla=off,on]
    [--gpus=1,2] [--compile] [--batch=N] [--steps=10] [--peaks=67,495,989] [--limit_s=600]

Expected: two minutes or so a line, most of them the first step. Each line is a process of its own,
so that its memory and its first step are its own, and one that fails says why and ends no other.
The first step counts from the start of the process. --tiny tries all this on a CPU, with models
of a few levels and with each setting once; its figures say nothing of a GPU.

The arithmetic is counted from the layer strings (`arithmetic.py`): multiply-adds of convolutions,
twice, for three passes. A peak is that of the data sheet, without sparsity, times the GPUs.
"""

import argparse
import itertools
import os
import re
import statistics
import sys
import time

from arithmetic import training_flop
from sides import Process, SideEnded

# Layer strings and width as published, and a batch for each GPU.
PRESETS = {
    "cifar10": {
        "encoder": "32x11,32d2,16x6,16d2,8x6,8d2,4x3,4d4,1x3",
        "decoder": "1x1,4m1,4x2,8m4,8x5,16m8,16x10,32m16,32x21",
        "width": 384,
        "batch": 32,
    },
    "imagenet32": {
        "encoder": "32x15,32d2,16x9,16d2,8x8,8d2,4x6,4d4,1x6",
        "decoder": "1x2,4m1,4x4,8m4,8x9,16m8,16x19,32m16,32x40",
        "width": 512,
        "batch": 16,
    },
    "imagenet64": {
        "encoder": "64x11,64d2,32x20,32d2,16x9,16d2,8x8,8d2,4x7,4d4,1x5",
        "decoder": "1x2,4m1,4x3,8m4,8x7,16m8,16x15,32m16,32x31,64m32,64x12",
        "width": 512,
        "batch": 8,
    },
}
TINY = {
    "cifar10": {"encoder": "4x1", "decoder": "4x1", "width": 4, "batch": 2},
    "imagenet32": {"encoder": "4x1,4d4,1x2", "decoder": "1x1,4m1,4x1", "width": 8, "batch": 2},
    "imagenet64": {"encoder": "8x1,8d8,1x1", "decoder": "1x1,8m1", "width": 8, "batch": 2},
}
PRECISIONS = {
    "float32": {"dtype": "float32", "tf32": False},
    "TF32": {"dtype": "float32", "tf32": True},
    "bfloat16": {"dtype": "mixed_bfloat16", "tf32": True},
}
# TFLOP/s of float32, TF32 and bfloat16 in data sheets, without sparsity, by words of the name; the
# first that fits. None where the GPU does not have the type.
PEAKS = {
    "B200": (75.0, 1100.0, 2250.0),
    "H200": (67.0, 494.5, 989.0),
    "H100 PCIe": (51.0, 378.0, 756.0),
    "H100": (67.0, 494.5, 989.0),
    "A100": (19.5, 156.0, 312.0),
    "A40": (37.4, 74.8, 149.7),
    "A30": (10.3, 82.0, 165.0),
    "A10": (31.2, 62.5, 125.0),
    "L40S": (91.6, 183.0, 362.0),
    "L4": (30.3, 60.0, 121.0),
    "RTX 4090": (82.6, 82.6, 165.2),
    "RTX 3090": (35.6, 35.6, 71.0),
    "V100": (15.7, None, None),
    "T4": (8.1, None, None),
}
_WIDTHS = {
    **{"preset": 11, "precision": 10, "program": 14, "GPUs": 5, "images/s": 10},
    **{"TFLOP/s": 9, "of peak": 8, "GB": 8, "first, s": 9},
}


def cells(arguments, num_gpus):
    """Returns (preset, precision, whether XLA compiles, GPUs) of each line of ours."""
    gpus = arguments.gpus or tuple(range(1, num_gpus + 1))
    axes = (arguments.presets, arguments.precisions, arguments.xla, gpus)
    if arguments.tiny:
        # Each setting once, beside the first of the other axes.
        first = tuple(axis[0] for axis in axes)
        others = [
            (*first[:place], value, *first[place + 1 :])
            for place, axis in enumerate(axes)
            for value in axis[1:]
        ]
        return [first, *others]
    return list(itertools.product(*axes))


def peak_tflops(name, precision, given=None):
    """Returns the peak of a GPU in a precision, or None where it is not known."""
    known = (peaks for words, peaks in PEAKS.items() if re.search(rf"\b{words}\b", name))
    peaks = given or next(known, (None,) * 3)
    return peaks[list(PRECISIONS).index(precision)]


def measured(process, steps, limit_s):
    """Returns {what: number} of a side, or a text that says why there is none."""
    start = time.perf_counter()
    try:
        process.ask("step", limit_s)
        first_s = time.perf_counter() - start
        process.ask("step", limit_s)
        seconds = [process.ask("step", limit_s)["seconds"] for _ in range(steps)]
        memory_gb = process.ask("memory", limit_s)["peak_gb"]
    except SideEnded as reason:
        return str(reason)
    process.close()
    return {"first_s": first_s, "seconds": seconds, "memory_gb": memory_gb}


def line(cell, found, work, peak):
    """Returns the columns of a line.

    Args:
        cell: preset, precision, program and number of GPUs.
        found: what `measured` returns.
        work: the work of one GPU.
        peak: of one GPU, in TFLOP/s, or None.
    """
    if isinstance(found, str):
        return (*cell, found)
    middle, least, most = (f(found["seconds"]) for f in (statistics.median, min, max))
    images = work["batch"] * cell[-1]
    tflops = images * training_flop(work) / middle / 1e12
    share = "?" if peak is None else f"{100 * tflops / (peak * cell[-1]):.1f} %"
    return (
        *cell,
        f"{images / middle:.1f}",
        f"{tflops:.3g}",
        share,
        f"{found['memory_gb']:.2f}",
        f"{found['first_s']:.1f}",
        f"step {middle:.4f} s ({least:.4f} to {most:.4f})",
    )


def print_row(columns):
    """Prints columns under each other; what is left over comes last."""
    widths = itertools.chain(_WIDTHS.values(), itertools.repeat(1))
    print(" ".join(str(c).ljust(w) for c, w in zip(columns, widths, strict=False)), flush=True)


def main():
    """Measures each line."""

    def names(known):
        def read(text):
            given = tuple(text.split(","))
            if unknown := [name for name in given if name not in known]:
                raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
            return given

        return read

    def numbers(text):
        return tuple(float(part) for part in text.split(","))

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", help="a checkout of github.com/openai/vdvae")
    parser.add_argument("--peer_python", default=sys.executable, help="a Python that has torch")
    parser.add_argument("--compile", action="store_true", help="torch.compile, too")
    parser.add_argument("--presets", type=names(PRESETS), default=tuple(PRESETS))
    parser.add_argument("--precisions", type=names(PRECISIONS), default=tuple(PRECISIONS))
    parser.add_argument("--xla", type=names(("off", "on")), default=("off", "on"))
    parser.add_argument("--gpus", type=lambda text: tuple(map(int, text.split(","))))
    parser.add_argument("--batch", type=int, help="images of each GPU")
    parser.add_argument("--steps", type=int, default=10, help="that are measured, of each line")
    parser.add_argument("--peaks", type=numbers, help="TFLOP/s of float32, TF32 and bfloat16")
    parser.add_argument("--limit_s", type=float, default=600.0, help="of each answer of a process")
    parser.add_argument("--tiny", action="store_true", help="on a CPU, as a trial of this program")
    arguments = parser.parse_args()
    gpus = Process(sys.executable, "devices", {}).ask("devices")["gpus"]
    if not gpus and not arguments.tiny:
        raise SystemExit("TensorFlow sees no GPU; --tiny tries this program on a CPU")
    if arguments.tiny:
        gpus = ["CPU (two logical devices)"] * 2
        os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # compiles sooner
    presets, name = TINY if arguments.tiny else PRESETS, gpus[0]
    print(f"{len(gpus)} x {name}; median of {arguments.steps} steps", flush=True)
    print_row(_WIDTHS)
    for preset, precision, xla, count in cells(arguments, len(gpus)):
        work = {**presets[preset], **PRECISIONS[precision]}
        if arguments.tiny:
            work["head"] = "gaussian"  # of few operations
        work["batch"] = arguments.batch or work["batch"]
        peak = peak_tflops(name, precision, arguments.peaks)
        own = {**work, "xla": xla == "on", "replicas": count}
        sides = {"pcvae, XLA" if own["xla"] else "pcvae": (sys.executable, "ours", own)}
        given = {"checkout": arguments.peer} if arguments.peer else {}
        if arguments.peer and not own["xla"] and count == 1:
            sides["PyTorch"] = (arguments.peer_python, "peer", work)
            if arguments.compile:
                sides["torch.compile"] = (arguments.peer_python, "peer", {**work, "compile": True})
        for program, side in sides.items():
            process = Process(*side, **(given if side[1] == "peer" else {}))
            found = measured(process, arguments.steps, arguments.limit_s)
            print_row(line((preset, precision, program, count), found, work, peak))


if __name__ == "__main__":
    main()
