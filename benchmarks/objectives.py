"""What constraints and a frozen first stage add to a training step, in one interleaved run.

python benchmarks/objectives.py [--side 32] [--width 96] [--batch_size 16] [--steps 10]

Expected: about three minutes on 2 cores. The same model is trained by the ELBO, by one constraint
on the rate, and by one on the distortion: the arithmetic forward and backward is the same, so that
the ratio is what multipliers and their reports cost. A second stage, whose first is frozen, is
compared with its parts run by themselves: the first stage forward, and an equal conditional model
trained by the ELBO. Prints medians with the least and the largest, and ratios.
"""

import argparse
import statistics
import time

import numpy as np
import tensorflow as tf

from pcvae import models, objectives, training
from pcvae.distributions.noise import seeded_noise
from pcvae.models import condition_of_next_stage


def trainer_of(model, objective):
    """Returns a trainer with the update of the experiments."""
    update = training.GradientUpdate(training.AdamW())
    return training.Trainer(model, model.twin(), objective, update)


def stepping(trainer, batch):
    """Returns a function that takes a step and waits for it."""
    return lambda: trainer.step(batch)["loss"].numpy()


def objectives_of(small, images, batch):
    """Returns {name: function} of steps whose model is the same."""
    return {
        name: stepping(trainer_of(small(), objective), batch)
        for name, objective in (
            ("ELBO", objectives.NegativeELBO()),
            ("rate constrained", objectives.ConstrainedRate(0.1)),
            ("distortion constrained", objectives.ConstrainedDistortion(0.01)),
        )
    }


def stages_of(small, images, batch):
    """Returns {name: function} of a second stage's step and of its two parts."""
    first = small(head="linear", num_latent_levels="4x4")
    condition = condition_of_next_stage([first], "reconstruction")
    alone = small(**condition)
    staged = models.StagedVAE([first, small(**condition)])
    staged.freeze_stages(1)

    @tf.function(autograph=False)
    def forward():
        return first(images, noise=seeded_noise(0)).reconstruction

    given = {**batch, "condition": tf.zeros((len(images), *condition["condition_shape"]), tf.uint8)}
    return {
        "second stage": stepping(trainer_of(staged, objectives.NegativeELBO()), batch),
        "its part, trained alone": stepping(trainer_of(alone, objectives.NegativeELBO()), given),
        "its first stage, forward": lambda: forward().numpy(),
    }


def measure(calls, steps):
    """Returns {name: [seconds]}; the calls take turns."""
    for call in calls.values():
        call(), call()
    times = {name: [] for name in calls}
    for _ in range(steps):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return times


def print_rows(times, parts):
    """Prints the medians, with ratios to the sum of the medians of some of the rows."""
    middle = {name: statistics.median(values) for name, values in times.items()}
    base = sum(middle[name] for name in parts)
    for name, values in times.items():
        spread = f"({min(values):.3f} to {max(values):.3f})"
        print(f"{name:26} {middle[name]:8.3f} s {spread:18} {middle[name] / base:6.3f}", flush=True)


def main():
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    shape = (arguments.side, arguments.side, 3)
    images = tf.constant(
        np.random.default_rng(0).integers(0, 256, (arguments.batch_size, *shape), dtype=np.uint8)
    )
    batch = {"images": images, "first_example": tf.constant(0, tf.int64)}

    def small(**options):
        return models.small_vdvae(shape, arguments.width, **options)

    print_rows(measure(objectives_of(small, images, batch), arguments.steps), ["ELBO"])
    times = measure(stages_of(small, images, batch), arguments.steps)
    print_rows(times, ["its part, trained alone", "its first stage, forward"])


if __name__ == "__main__":
    main()
