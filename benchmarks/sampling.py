"""Latency of one sampled image: the Python model and its exports, paired, as ratios.

python benchmarks/sampling.py [--levels 5] [--width 48] [--repeats 30]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import tensorflow as tf
from depth import make_model

from pcvae import export

EXPORTS = {
    "export, any batch": {},
    "export, batch_size=1": {"batch_size": 1},
    "export, batch_size=1, xla": {"batch_size": 1, "xla": True},
}


def timed(call, seed):
    """Returns the seconds of one image."""
    start = time.perf_counter()
    call(seed)
    return time.perf_counter() - start


def samplers(model, folder):
    """Yields name, function of a seed."""
    yield "Python model", lambda seed: model.sample(1, seed=seed)
    temperature = tf.ones(model.num_levels)
    for name, options in EXPORTS.items():
        path = folder / name
        export.export_model(model, path, **options)
        loaded = tf.saved_model.load(str(path))
        yield name, lambda seed, loaded=loaded: loaded.sample(1, temperature, [seed, 0]).numpy()


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--levels", type=int, default=5, help="levels at 32x32")
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=30, help="rounds; each times every sampler")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        calls, first = {}, {}
        for name, call in samplers(
            make_model(arguments.levels, arguments.width, unroll=False), Path(folder)
        ):
            calls[name], first[name] = call, timed(call, 0)
        rounds = [
            {name: timed(call, seed) for name, call in calls.items()}
            for seed in range(arguments.repeats)
        ]
    print(f"{'sampler':<26} {'first s':>8} {'ms':>8} {'time / Python model':>20}   (medians)")
    for name in calls:
        milliseconds = 1e3 * statistics.median(times[name] for times in rounds)
        ratio = statistics.median(times[name] / times["Python model"] for times in rounds)
        print(f"{name:<26} {first[name]:8.2f} {milliseconds:8.1f} {ratio:20.3f}")


if __name__ == "__main__":
    main()
