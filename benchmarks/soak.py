"""Memory, open files and files of a run over many steps, evaluations and saves in one process.

python benchmarks/soak.py [--minutes 60] [--bound_mib_per_hour 20]

Trains a small VDVAE on drawn pictures, with an evaluation each 50 steps and a save each 25, and
measures after each checkpoint. The first fifth of the measurements, while pools are filled, is left
out. Exits with 1 if memory grows by more than the bound, beyond three standard errors of its slope,
or if files or open files become more.
"""

import argparse
import gc
import math
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from pcvae import data, measure, models, objectives, training
from pcvae.data.synthetic import draw_image

EVALUATE_EVERY, CHECKPOINT_EVERY, REPORT_EVERY = 50, 25, 10
BATCH_SIZE = 8


class Over(Exception):
    """The time is over."""


def resident_mib():
    """Returns the memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def slope(hours, values):
    """Returns the least-squares slope and its standard error.

    Neighbouring measurements are alike: means of 20 stretches are taken for independent ones.
    """
    parts = min(20, len(hours))
    x, y = (
        np.array([np.mean(part) for part in np.array_split(column, parts)])
        for column in (hours, values)
    )
    x = x - x.mean()
    value = float(x @ y / (x @ x))
    left = y - y.mean() - value * x
    return value, math.sqrt(float(left @ left) / max(parts - 2, 1) / float(x @ x))


def soak(folder, minutes):
    """Trains; returns [(hours, MiB, open files, files)] at the checkpoints, and the steps."""
    side = 16
    images = np.stack([draw_image(0, "train", index, side) for index in range(64)])
    strategy = training.make_strategy("one_device")
    with strategy.scope():
        model = models.small_vdvae((side, side, 3), 16, 8, 16, latent_width=4, num_mixtures=2)
        averaged = model.twin()
        update = training.GradientUpdate(training.AdamW())
        trainer = training.Trainer(model, averaged, objectives.NegativeELBO(), update)
        likelihood = measure.LikelihoodEvaluation(averaged, batch_size=BATCH_SIZE)
    checkpoints = training.Checkpoints(folder / "checkpoints", trainer.state)
    log = training.ScalarLog(folder / "summaries", "train")
    rows, start = [], time.monotonic()

    def save(step):
        checkpoints.save(step)
        gc.collect()
        hours = (time.monotonic() - start) / 3600.0
        files = sum(path.is_file() for path in folder.rglob("*"))
        rows.append((hours, resident_mib(), len(os.listdir("/proc/self/fd")), files))
        if hours * 60.0 > minutes:
            raise Over

    def report(window):
        log.scalars(window.step, {"loss": window.metrics["loss"]})

    actions = [
        training.Action(EVALUATE_EVERY, lambda step: likelihood(images[:32], seed=0)),
        training.Action(CHECKPOINT_EVERY, save),
    ]
    batches = training.distributed_batches(
        strategy, lambda context: data.training_batches(images, BATCH_SIZE, 0, 0, context)
    )
    try:
        training.train(trainer, batches, 10**9, BATCH_SIZE, report, REPORT_EVERY, actions)
    except Over:
        log.close()
    return rows, trainer.steps_taken


def main():
    """Prints what grew; returns 1 if something did."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--bound_mib_per_hour", type=float, default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows, steps = soak(Path(folder), options.minutes)
    rows = rows[len(rows) // 5 :]
    hours, memory, opened, files = (np.array(column) for column in zip(*rows, strict=True))
    growth, error = slope(hours, memory)
    print(f"{steps} steps, {len(rows)} measurements over {60 * (hours[-1] - hours[0]):.1f} minutes")
    print(f"memory: {memory[-1]:.0f} MiB, {growth:+.1f} +- {error:.1f} MiB an hour")
    print(f"       {1024 * growth * (hours[-1] - hours[0]) / steps:+.2f} KiB a step")
    for name, counts in (("open files", opened), ("files of the run", files)):
        print(f"{name}: {counts[0]} at first, {counts.max()} at most, {counts[-1]} at last")
    grows = growth - 3.0 * error > options.bound_mib_per_hour
    more = opened[-1] > opened[0] or files[-1] > files[0]
    return int(grows or more)


if __name__ == "__main__":
    raise SystemExit(main())
