"""A training step of pcvae beside that of the published PyTorch code, with the same weights.

python benchmarks/against_pytorch.py --peer=CHECKOUT_OF_OPENAI_VDVAE --peer_python=PYTHON_WITH_TORCH
    [--works=w96,w384,w384_bfloat16,deep] [--steps=6] [--compile]

Expected: under 10 minutes on 2 cores. Each side is a process of its own, and they take steps in
turn, so that both see the same machine; one waits while the other works. Both start from the
weights that the peer draws, and have to agree about the number of weights and, with every latent
at the mean of its posterior, about the loss. A step is gradients, clipping by the global norm,
AdamW and the moving average of the weights. Prints medians with the least and the largest.
"""

import argparse
import re
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from sides import Process

LEVELS_19 = {
    "encoder": "32x3,32d2,16x2,16d2,8x2,8d2,4x2,4d4,1x2",
    "decoder": "1x1,4m1,4x2,8m4,8x3,16m8,16x4,32m16,32x5",
}
LEVELS_78 = {
    "encoder": "32x15,32d2,16x9,16d2,8x8,8d2,4x6,4d4,1x6",
    "decoder": "1x2,4m1,4x4,8m4,8x9,16m8,16x19,32m16,32x40",
}
WORKS = {
    "w96": {**LEVELS_19, "width": 96, "batch": 16, "dtype": "float32"},
    "w384": {**LEVELS_19, "width": 384, "batch": 4, "dtype": "float32"},
    "w384_bfloat16": {**LEVELS_19, "width": 384, "batch": 4, "dtype": "mixed_bfloat16"},
    "deep": {**LEVELS_78, "width": 512, "batch": 1, "dtype": "float32"},
}


def compare(name, arguments, weights):
    """Measures a work; returns {side: {what: [values]}}."""
    work, weights = WORKS[name], str(weights)
    peer = {"checkout": arguments.peer, "weights": weights}
    sides = {"PyTorch eager": Process(arguments.peer_python, "peer", work, **peer)}
    if arguments.compile:
        compiled = {**work, "compile": True}
        sides["torch.compile"] = Process(arguments.peer_python, "peer", compiled, **peer)
    expected = [side.ask("facts") for side in sides.values()][0]  # the weights are written
    anew = {**work, "recompute": True}
    sides["pcvae"] = Process(sys.executable, "ours", work, weights=weights)
    sides["pcvae, recompute"] = Process(sys.executable, "ours", anew, weights=weights)
    found = {}
    for label, side in sides.items():
        facts = side.ask("facts")
        if facts["parameters"] != expected["parameters"]:
            raise SystemExit(f"{name}, {label}: {facts['parameters']:,} weights, not the peer's")
        tolerance = 0.02 if "bfloat16" in name else 1e-4
        if not np.isclose(facts["loss_nats"], expected["loss_nats"], rtol=tolerance):
            raise SystemExit(f"{name}, {label}: {facts} differ from the peer's {expected}")
        found[label] = {"first step, s": [side.ask("step")["seconds"]], "step, s": []}
        side.ask("step")
    for _ in range(arguments.steps):
        for label, side in sides.items():
            found[label]["step, s"].append(side.ask("step")["seconds"])
    for label, side in sides.items():
        found[label]["peak memory, GB"] = [side.ask("memory")["peak_gb"]]
        side.ask("sample")
        found[label]["sampling 16, s"] = [side.ask("sample")["seconds"] for _ in range(3)]
        side.close()
    return found


def print_table(name, found):
    """Prints the medians of a work, with spreads and ratios to PyTorch eager."""
    base = found["PyTorch eager"]
    print(f"\n{name}: {re.sub('[{}]', '', str(WORKS[name]))}", flush=True)
    for what in base:
        for label, values in found.items():
            middle = statistics.median(values[what])
            ratio = middle / statistics.median(base[what])
            spread = f"({min(values[what]):.3f} to {max(values[what]):.3f})"
            print(f"  {what:16} {label:17} {middle:8.3f} {spread:20} ratio {ratio:.2f}", flush=True)


def main():
    """Compares the works that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", required=True, help="a checkout of github.com/openai/vdvae")
    parser.add_argument("--peer_python", help="a Python that imports torch")
    parser.add_argument("--works", default=",".join(WORKS), help=f"among {', '.join(WORKS)}")
    parser.add_argument("--steps", type=int, default=6, help="that are measured, of each side")
    parser.add_argument("--compile", action="store_true", help="torch.compile, too (minutes)")
    arguments = parser.parse_args()
    for name in arguments.works.split(","):
        with tempfile.TemporaryDirectory() as folder:
            print_table(name, compare(name, arguments, Path(folder) / "weights.npz"))


if __name__ == "__main__":
    main()
