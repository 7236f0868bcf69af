"""Time and memory of a training step against depth, width, batch and side, with fitted exponents.

python benchmarks/scaling.py [--series=depth,width,batch,side] [--steps=5] [--plot=scaling.png]

Expected: under 10 minutes on 2 cores. Each size is a process of its own; those of a series take
steps in turn. Prints medians with the least and the largest, and how time and memory grow: the
slope of log seconds (and of log bytes beyond those of a process that has yet taken no step) against
the log of the arithmetic of a step (`arithmetic.py`). A slope of 1 is growth in proportion to the
arithmetic; less means that what does not grow has a share. --plot draws time against arithmetic.
"""

import argparse
import statistics
import sys

import numpy as np
from arithmetic import training_flop
from matplotlib.figure import Figure
from sides import Process

COARSE_ENCODER = "16x2,16d2,8x2,8d2,4x2,4d4,1x2"
COARSE_DECODER = "1x1,4m1,4x2,8m4,8x2,16m8,16x2"


def layers(finest_levels=4, side=32):
    """Returns the layer strings of a hierarchy down to 1x1, a resolution for each halving."""
    sides = [s for s in (128, 64, 32) if s <= side]
    counts = {s: finest_levels if s == side else 2 for s in sides}
    encoder = [f"{s}x{counts[s]},{s}d2" for s in sides]
    decoder = [f"{s}m{s // 2},{s}x{counts[s]}" for s in reversed(sides)]
    return {
        "encoder": ",".join([*encoder, COARSE_ENCODER]),
        "decoder": ",".join([COARSE_DECODER, *decoder]),
    }


BASE = {**layers(), "width": 96, "batch": 8, "dtype": "float32"}
SERIES = {
    "depth": {f"{n} levels at 32x32": {**BASE, **layers(n)} for n in (4, 8, 16, 32)},
    "width": {f"width {w}": {**BASE, "width": w} for w in (48, 96, 192, 384)},
    "batch": {f"batch {n}": {**BASE, "batch": n} for n in (4, 8, 16, 32)},
    "side": {f"{s}x{s}": {**BASE, **layers(side=s), "batch": 2} for s in (16, 32, 64, 128)},
}


def measure(works, steps):
    """Returns {name: {"seconds": [...], "start_gb", "peak_gb"}}; the works take steps in turn."""
    sides = {name: Process(sys.executable, "ours", work) for name, work in works.items()}
    found = {}
    for name, side in sides.items():
        found[name] = {"start_gb": side.ask("memory")["peak_gb"], "seconds": []}
        side.ask("step"), side.ask("step")
    for _ in range(steps):
        for name, side in sides.items():
            found[name]["seconds"].append(side.ask("step")["seconds"])
    for name, side in sides.items():
        found[name]["peak_gb"] = side.ask("memory")["peak_gb"]
        side.close()
    return found


def slope(x, y):
    """Returns the slope of log y against log x, by least squares."""
    return np.polyfit(np.log(x), np.log(y), 1)[0]


def print_series(name, works, found):
    """Prints the table of a series; returns its points (arithmetic, seconds)."""
    flop = [training_flop(work) * work["batch"] for work in works.values()]
    middle = [statistics.median(values["seconds"]) for values in found.values()]
    added = [values["peak_gb"] - values["start_gb"] for values in found.values()]
    print(f"\n{name:20} {'GFLOP':>8} {'step, s':>9} {'':20} {'peak, GB':>9} {'of steps':>9}")
    for row, values, own_flop, seconds, own_added in zip(
        works, found.values(), flop, middle, added, strict=True
    ):
        spread = f"({min(values['seconds']):.3f} to {max(values['seconds']):.3f})"
        print(
            f"{row:20} {own_flop / 1e9:8.1f} {seconds:9.3f} {spread:20} "
            f"{values['peak_gb']:9.2f} {own_added:9.2f}"
        )
    time, memory = slope(flop, middle), slope(flop, added)
    print(f"time: arithmetic to the power {time:.2f}; memory: {memory:.2f}", flush=True)
    return flop, middle


def plot(points, path):
    """Draws seconds against arithmetic, both logarithmic, with a line of equal speed."""
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    for marker, (name, (flop, seconds)) in zip("osD^", points.items(), strict=False):
        axes.plot(np.array(flop) / 1e9, seconds, marker=marker, label=name)
    ends = np.array([min(min(flop) for flop, _ in points.values()) / 1e9, 0.0])
    ends[1] = max(max(flop) for flop, _ in points.values()) / 1e9
    last = max((flop[-1] / 1e9, seconds[-1]) for flop, seconds in points.values())
    axes.plot(ends, ends * last[1] / last[0], color="0.6", linestyle=":", label="in proportion")
    axes.set(xscale="log", yscale="log", xlabel="arithmetic of a step (GFLOP)")
    axes.set(ylabel="time of a step (s)", title="Training step, float32")
    axes.legend()
    figure.savefig(path, dpi=120)


def main():
    """Prints the tables, and draws the plot."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--series", default=",".join(SERIES), help=f"among {', '.join(SERIES)}")
    parser.add_argument("--steps", type=int, default=5, help="that are measured, of each size")
    parser.add_argument("--plot", help="a PNG of time against arithmetic")
    arguments = parser.parse_args()
    points = {}
    for name in arguments.series.split(","):
        found = measure(SERIES[name], arguments.steps)
        points[name] = print_series(name, SERIES[name], found)
    if arguments.plot:
        plot(points, arguments.plot)


if __name__ == "__main__":
    main()
