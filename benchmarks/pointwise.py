"""A 1x1 convolution as one matrix product against Keras' Conv2D, as ratios in one run.

python benchmarks/pointwise.py
"""

import time

import keras
import tensorflow as tf

from pcvae.layers.residual import PointwiseConv2D

SHAPES = [(16, 32, 24, 12), (16, 16, 48, 24), (16, 8, 96, 48), (16, 4, 128, 64), (16, 32, 96, 24)]


def seconds(layer, x, repeats=100):
    """Seconds of a forward pass with its gradients."""

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(loss, [x, layer.kernel.value])

    run = tf.function(run, autograph=False)
    run(x)
    start = time.perf_counter()
    for _ in range(repeats):
        result = run(x)
    result[1].numpy()
    return (time.perf_counter() - start) / repeats


def main():
    """Prints the table."""
    print(
        f"{'batch':>5} {'side':>4} {'in':>4} {'out':>4} {'Conv2D ms':>9} {'product ms':>10} ratio"
    )
    for batch, side, in_width, out_width in SHAPES:
        x = tf.random.normal((batch, side, side, in_width))
        plain = seconds(keras.layers.Conv2D(out_width, 1), x)
        product = seconds(PointwiseConv2D(out_width, 1), x)
        print(
            f"{batch:5} {side:4} {in_width:4} {out_width:4} "
            f"{1e3 * plain:9.2f} {1e3 * product:10.2f} {product / plain:5.2f}"
        )


if __name__ == "__main__":
    main()
