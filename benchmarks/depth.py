"""Graph size and time of a training step by depth, with levels traced once and written out.

python benchmarks/depth.py [--levels 11,41] [--width 48]
"""

import argparse
import time

import tensorflow as tf

from pcvae import models, objectives, training


def make_model(levels_at_32, width, unroll):
    """A VDVAE for 32x32 whose depth grows at the finest resolution."""
    return models.VDVAE(
        encoder_blocks=f"32x{levels_at_32},32d2,16d2,8d2,4d4,1x1",
        decoder_blocks=f"1x1,4m1,8m4,16m8,32m16,32x{levels_at_32}",
        width=width,
        unroll=unroll,
    )


def measure(levels_at_32, width, unroll, num_steps=5, batch_size=4):
    """Returns levels, variables, nodes, seconds to the end of the first step, seconds a step."""
    build = [make_model(levels_at_32, width, unroll) for _ in range(2)]
    update = training.GradientUpdate(training.AdamW())
    trainer = training.Trainer(*build, objectives.NegativeELBO(), update)
    batch = {
        "images": tf.zeros((batch_size, 32, 32, 3), tf.uint8),
        "first_example": tf.constant(0, tf.int64),
    }
    start = time.perf_counter()
    trainer.step(batch)["loss"].numpy()
    first = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(num_steps):
        result = trainer.step(batch)
    result["loss"].numpy()
    step = (time.perf_counter() - start) / num_steps
    return build[0].num_levels, len(build[0].weights), trainer.graph_nodes(batch), first, step


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--levels", default="5,35", help="levels at 32x32, between commas")
    parser.add_argument("--width", type=int, default=48)
    arguments = parser.parse_args()
    print(f"{'levels':>6} {'stacks':>9} {'variables':>9} {'nodes':>8} {'first s':>8} {'step s':>7}")
    for levels_at_32 in map(int, arguments.levels.split(",")):
        for unroll in (False, True):
            levels, variables, nodes, first, step = measure(levels_at_32, arguments.width, unroll)
            kind = "unrolled" if unroll else "called"
            print(
                f"{levels:6} {kind:>9} {variables:9} {nodes:8} {first:8.1f} {step:7.3f}", flush=True
            )


if __name__ == "__main__":
    main()
