"""The peak memory of training beside the estimate of ``pcvae describe``.

python benchmarks/memory.py [--works=w96,w96_recompute,...] [--steps=3]

Expected: under 10 minutes on 2 cores; all estimates within 15 %. Each work is a process of its own,
which builds the model of a gin file and bindings, as ``pcvae train`` does, and takes a few steps:
gradients, clipping, AdamW and the moving average of the weights. What is measured is the largest
resident size of the process (ru_maxrss).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

LEVELS_19 = (
    "models.VDVAE.encoder_blocks = '32x3,32d2,16x2,16d2,8x2,8d2,4x2,4d4,1x2'",
    "models.VDVAE.decoder_blocks = '1x1,4m1,4x2,8m4,8x3,16m8,16x4,32m16,32x5'",
)
WIDTH_96 = (*LEVELS_19, "models.VDVAE.width = 96")
CIFAR, IMAGENET = "models/vdvae_cifar10.gin", "models/vdvae_imagenet32.gin"
QUICKSTART = "experiments/quickstart.gin"
RECOMPUTE = "models.VDVAE.recompute = 1"
BFLOAT16 = "models.VDVAE.dtype = 'mixed_bfloat16'"
# name: (gin file, bindings, batch size, micro-batches)
WORKS = {
    "quickstart": (QUICKSTART, (), 32, 1),
    "small32_b8": (QUICKSTART, ("data.from_spec.spec = 'synthetic:32'",), 8, 1),
    "small32_b32": (QUICKSTART, ("data.from_spec.spec = 'synthetic:32'",), 32, 1),
    "small64_b8": (QUICKSTART, ("data.from_spec.spec = 'synthetic:64'",), 8, 1),
    "small64_b32": (QUICKSTART, ("data.from_spec.spec = 'synthetic:64'",), 32, 1),
    "w96": (CIFAR, WIDTH_96, 16, 1),
    "w96_bfloat16": (CIFAR, (*WIDTH_96, BFLOAT16), 16, 1),
    "w96_recompute": (CIFAR, (*WIDTH_96, RECOMPUTE), 16, 1),
    "w96_micro": (CIFAR, WIDTH_96, 16, 4),
    "w384": (CIFAR, LEVELS_19, 4, 1),
    "w384_bfloat16": (CIFAR, (*LEVELS_19, BFLOAT16), 4, 1),
    "cifar10": (CIFAR, (), 4, 1),
    "deep": (IMAGENET, (), 1, 1),
}


def measure(name, steps):
    """Trains a work for a few steps; returns what is estimated and what it took, in bytes."""
    import numpy as np
    import tensorflow as tf

    from pcvae import gin_utils, models, objectives, runs, training

    gin_file, bindings, batch_size, micro_batches = WORKS[name]
    bound = gin_utils.parse([runs.train], [gin_file], bindings).arguments(
        runs.train, ["model_fn", "dataset"]
    )
    dataset = bound.get("dataset")
    model = bound["model_fn"](**({"image_shape": dataset.image_shape} if dataset else {}))
    update = training.GradientUpdate(training.AdamW())
    trainer = training.Trainer(
        model, model.twin(), objectives.NegativeELBO(), update, micro_batches=micro_batches
    )
    shape = (batch_size, *model.image_shape)
    images = tf.constant(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    for step in range(steps):
        first = tf.constant(step * batch_size, tf.int64)
        trainer.step({"images": images, "first_example": first})["loss"].numpy()
    # Of Linux, in KiB.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    memory = models.training_memory(model, batch_size // micro_batches)
    return {"measured": peak, "estimated": memory.peak}


def measured_apart(name, steps):
    """Returns the result of `measure` in a process of its own."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    arguments = [sys.executable, __file__, f"--one={name}", f"--steps={steps}"]
    run = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"{name}: {run.stderr}")
    return json.loads(run.stdout.splitlines()[-1])


def main():
    """Prints a line for each work."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--works", default=",".join(WORKS), help=f"among {', '.join(WORKS)}")
    parser.add_argument("--steps", type=int, default=3, help="of each work")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.steps)))
        return
    print(f"{'work':14} {'measured':>9} {'estimated':>9} {'ratio':>5}", flush=True)
    for name in arguments.works.split(","):
        found = measured_apart(name, arguments.steps)
        measured, estimated = found["measured"] / 1e9, found["estimated"] / 1e9
        line = f"{name:14} {measured:6.2f} GB {estimated:6.2f} GB {estimated / measured:5.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
