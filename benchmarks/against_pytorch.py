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
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

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
LEARNING_RATE, CLIP_NORM, EMA_DECAY = 2e-4, 200.0, 0.9999


def images_of(work):
    """Returns the uint8 images of every step."""
    return np.random.default_rng(0).integers(0, 256, (work["batch"], 32, 32, 3), dtype=np.uint8)


class Ours:
    """pcvae, from the weights that the peer has written."""

    def __init__(self, work, weights, recompute):
        import tensorflow as tf

        from pcvae import models, objectives, training
        from pcvae.models.reference_weights import load_reference_weights

        class NoNoise:
            def normal(self, site, shape):
                return tf.zeros(shape)

        self._tf, self._no_noise = tf, NoNoise()
        self.model, averaged = (
            models.VDVAE(
                encoder_blocks=work["encoder"],
                decoder_blocks=work["decoder"],
                width=work["width"],
                dtype=work["dtype"],
                recompute=1 if recompute else None,
            )
            for _ in range(2)
        )
        load_reference_weights(self.model, dict(np.load(weights)))
        update = training.GradientUpdate(
            training.AdamW(LEARNING_RATE), clip_norm=CLIP_NORM, ema_decay=EMA_DECAY
        )
        self._trainer = training.Trainer(self.model, averaged, objectives.NegativeELBO(), update)
        first = tf.constant(0, tf.int64)
        self._batch = {"images": tf.constant(images_of(work)), "first_example": first}

    def facts(self):
        output = self.model(self._batch["images"], noise=self._no_noise)
        loss = self._tf.reduce_mean(output.nll + self._tf.reduce_sum(output.rate_per_level, 1))
        return {"parameters": self.model.count_params(), "loss_nats": float(loss)}

    def step(self):
        self._trainer.step(self._batch)["loss"].numpy()

    def sample(self):
        self.model.sample(16)


class Peer:
    """The published code, in PyTorch."""

    def __init__(self, work, weights, checkout, compiled):
        sys.path.insert(0, checkout)
        import torch
        import vae

        class Settings(dict):
            __getattr__ = dict.get

        torch.manual_seed(0)
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        settings = Settings(
            enc_blocks=work["encoder"],
            dec_blocks=work["decoder"],
            width=work["width"],
            zdim=16,
            bottleneck_multiple=0.25,
            custom_width_str="",
            image_size=32,
            image_channels=3,
            no_bias_above=64,
            num_mixtures=10,
        )
        self._torch, self._vae, self.model = torch, vae, vae.VAE(settings)
        self._averaged = [p.detach().clone() for p in self.model.parameters()]
        np.savez(weights, **{k: v.numpy() for k, v in self.model.state_dict().items()})
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(), LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.9)
        )
        self._forward = torch.compile(self.model) if compiled else self.model
        self._images = torch.tensor(images_of(work)).float() / 127.5 - 1.0
        self._low = work["dtype"] == "mixed_bfloat16"

    def facts(self):
        drawn, self._vae.draw_gaussian_diag_samples = (
            self._vae.draw_gaussian_diag_samples,
            lambda mean, _: mean,
        )
        with self._torch.no_grad():
            loss = self.model(self._images, self._images)["elbo"].item()
        self._vae.draw_gaussian_diag_samples = drawn
        parameters = sum(p.numel() for p in self.model.parameters())
        return {"parameters": parameters, "loss_nats": loss * 32 * 32 * 3}

    def step(self):
        torch = self._torch
        self._optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self._low):
            loss = self._forward(self._images, self._images)["elbo"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        self._optimizer.step()
        with torch.no_grad():
            for average, weight in zip(self._averaged, self.model.parameters(), strict=True):
                average.mul_(EMA_DECAY).add_(weight, alpha=1.0 - EMA_DECAY)

    def sample(self):
        with self._torch.no_grad():
            self.model.forward_uncond_samples(16)


def serve(side):
    """Does what the lines of standard input say; answers each with a line of JSON."""
    for line in sys.stdin:
        task = line.strip()
        start = time.perf_counter()
        answer = getattr(side, task)() if hasattr(side, task) else {}
        if task == "memory":
            # Of Linux, in KiB.
            answer = {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}
        print(json.dumps({**(answer or {}), "seconds": time.perf_counter() - start}), flush=True)


class Process:
    """A side in a process of its own."""

    def __init__(self, python, *arguments):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment["PYTHONPATH"] = str(Path(__file__).parents[1])
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            [python, __file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env=environment,
        )

    def ask(self, task):
        """Returns the answer to a task."""
        print(task, file=self._process.stdin, flush=True)
        while line := self._process.stdout.readline():
            if line.startswith("{"):
                return json.loads(line)
        self._said.seek(0)
        raise SystemExit(f"{self._said.read()}\na side ended at {task!r}: {self._process.args}")

    def close(self):
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()


def compare(name, arguments, weights):
    """Measures a work; returns {side: {what: [values]}}."""
    common = [f"--work={name}", f"--weights={weights}", f"--peer={arguments.peer}"]
    peers = {"PyTorch eager": [], "torch.compile": ["--compile"]}
    if not arguments.compile:
        del peers["torch.compile"]
    sides = {
        label: Process(arguments.peer_python, "--side=peer", *common, *extra)
        for label, extra in peers.items()
    }
    expected = [side.ask("facts") for side in sides.values()][0]  # the weights are written
    sides["pcvae"] = Process(sys.executable, "--side=ours", *common)
    sides["pcvae, recompute"] = Process(sys.executable, "--side=ours", "--recompute", *common)
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
    """Compares, or is one of the sides."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", required=True, help="a checkout of github.com/openai/vdvae")
    parser.add_argument("--peer_python", help="a Python that imports torch")
    parser.add_argument("--works", default=",".join(WORKS), help=f"among {', '.join(WORKS)}")
    parser.add_argument("--steps", type=int, default=6, help="that are measured, of each side")
    parser.add_argument("--compile", action="store_true", help="torch.compile, too (minutes)")
    for hidden in ("--side", "--work", "--weights"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--recompute", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side == "peer":
        work = WORKS[arguments.work]
        serve(Peer(work, arguments.weights, arguments.peer, arguments.compile))
    elif arguments.side == "ours":
        serve(Ours(WORKS[arguments.work], arguments.weights, arguments.recompute))
    else:
        for name in arguments.works.split(","):
            with tempfile.TemporaryDirectory() as folder:
                print_table(name, compare(name, arguments, Path(folder) / "weights.npz"))


if __name__ == "__main__":
    main()
