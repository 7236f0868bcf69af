"""A training step of pcvae and that of the published PyTorch code, each in a process of its own.

A step is gradients, clipping by the global norm, AdamW and the moving average of the weights. Both
sides take a *work*: ``encoder`` and ``decoder`` (layer strings), ``width``, ``batch`` (of each
replica), ``dtype`` (a policy of Keras), and, where they differ from `DEFAULTS`, the other keys.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

DEFAULTS = {
    **{"tf32": False, "xla": False, "recompute": False, "replicas": 1, "compile": False},
    "head": "logistic_mixture",  # of ours
}
LEARNING_RATE, CLIP_NORM, EMA_DECAY = 2e-4, 200.0, 0.9999


def images_of(work):
    """Returns the uint8 images of every step: those of one replica."""
    side = int(work["encoder"].partition("x")[0].partition("d")[0])
    shape = (work["batch"], side, side, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


class Ours:
    """pcvae, from weights that the peer has written, or from its own."""

    def __init__(self, work, weights=None):
        import tensorflow as tf

        from pcvae import models, objectives, training
        from pcvae.models.reference_weights import load_reference_weights

        class NoNoise:
            def normal(self, site, shape):
                return tf.zeros(shape)

        self._tf, self._no_noise = tf, NoNoise()
        self._gpus = tf.config.list_physical_devices("GPU")
        tf.config.experimental.enable_tensor_float_32_execution(work["tf32"])
        count, kind = work["replicas"], "GPU" if self._gpus else "CPU"
        if count > 1 and kind == "CPU":
            cpu = tf.config.list_physical_devices(kind)[0]
            parts = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
            tf.config.set_logical_device_configuration(cpu, parts)
        devices = [f"{kind}:{index}" for index in range(count)]
        strategy = training.make_strategy("one_device" if count == 1 else "mirrored", devices)
        with strategy.scope():
            self.model, averaged = (
                models.VDVAE(
                    encoder_blocks=work["encoder"],
                    decoder_blocks=work["decoder"],
                    width=work["width"],
                    head=work["head"],
                    dtype=work["dtype"],
                    recompute=1 if work["recompute"] else None,
                )
                for _ in range(2)
            )
            if weights:
                load_reference_weights(self.model, dict(np.load(weights)))
            update = training.GradientUpdate(
                training.AdamW(LEARNING_RATE), clip_norm=CLIP_NORM, ema_decay=EMA_DECAY
            )
            objective = objectives.NegativeELBO()
            self._trainer = training.Trainer(
                self.model, averaged, objective, update, jit_compile=work["xla"]
            )
        self._images = tf.constant(images_of(work))

        def part(context):
            first = context.replica_id_in_sync_group * work["batch"]
            return {"images": self._images, "first_example": tf.constant(first, tf.int64)}

        self._batch = strategy.experimental_distribute_values_from_function(part)

    def facts(self):
        """Returns the number of weights, and the loss with every latent at the posterior's mean."""
        output = self.model(self._images, noise=self._no_noise)
        loss = self._tf.reduce_mean(output.nll + self._tf.reduce_sum(output.rate_per_level, 1))
        return {"parameters": self.model.count_params(), "loss_nats": float(loss)}

    def step(self):
        """Takes a step, and waits for it."""
        self._trainer.step(self._batch)["loss"].numpy()

    def sample(self):
        """Draws 16 images."""
        self.model.sample(16)

    def device_peak_bytes(self):
        """Returns the most memory that tensors took on a GPU; None without one."""
        memory = self._tf.config.experimental.get_memory_info
        return memory("GPU:0")["peak"] if self._gpus else None

    @staticmethod
    def devices():
        """Returns the names of the GPUs."""
        import tensorflow as tf

        details = tf.config.experimental.get_device_details
        gpus = tf.config.list_physical_devices("GPU")
        return {"gpus": [details(gpu).get("device_name", "GPU") for gpu in gpus]}


class Peer:
    """The published code (openai/vdvae), in PyTorch, on one GPU where there is one."""

    def __init__(self, work, checkout, weights=None):
        sys.path.insert(0, checkout)
        import torch
        import vae

        class Settings(dict):
            __getattr__ = dict.get

        torch.manual_seed(0)
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = work["tf32"]
        images = images_of(work)
        settings = Settings(
            enc_blocks=work["encoder"],
            dec_blocks=work["decoder"],
            width=work["width"],
            zdim=16,
            bottleneck_multiple=0.25,
            custom_width_str="",
            image_size=images.shape[1],
            image_channels=3,
            no_bias_above=64,
            num_mixtures=10,
        )
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._torch, self._vae, self.model = torch, vae, vae.VAE(settings).to(self._device)
        self._averaged = [p.detach().clone() for p in self.model.parameters()]
        if weights:
            np.savez(weights, **{k: v.cpu().numpy() for k, v in self.model.state_dict().items()})
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(), LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.9)
        )
        self._forward = torch.compile(self.model) if work["compile"] else self.model
        self._images = (torch.tensor(images).float() / 127.5 - 1.0).to(self._device)
        self._low = work["dtype"] == "mixed_bfloat16"

    def facts(self):
        """Returns what `Ours.facts` returns."""
        drawn, self._vae.draw_gaussian_diag_samples = (
            self._vae.draw_gaussian_diag_samples,
            lambda mean, _: mean,
        )
        with self._torch.no_grad():
            loss = self.model(self._images, self._images)["elbo"].item()
        self._vae.draw_gaussian_diag_samples = drawn
        parameters = sum(p.numel() for p in self.model.parameters())
        return {"parameters": parameters, "loss_nats": loss * self._images[0].numel()}

    def step(self):
        """Takes a step, and waits for it."""
        torch = self._torch
        self._optimizer.zero_grad()
        with torch.autocast(self._device, torch.bfloat16, enabled=self._low):
            loss = self._forward(self._images, self._images)["elbo"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        self._optimizer.step()
        with torch.no_grad():
            for average, weight in zip(self._averaged, self.model.parameters(), strict=True):
                average.mul_(EMA_DECAY).add_(weight, alpha=1.0 - EMA_DECAY)
        if self._device == "cuda":
            torch.cuda.synchronize()

    def sample(self):
        """Draws 16 images."""
        with self._torch.no_grad():
            self.model.forward_uncond_samples(16)

    def device_peak_bytes(self):
        """Returns the most memory that tensors took on the GPU; None without one."""
        return self._torch.cuda.max_memory_allocated() if self._device == "cuda" else None


def serve(side):
    """Does what the lines of standard input say; answers each with a line of JSON."""
    for line in sys.stdin:
        task = line.strip()
        start = time.perf_counter()
        answer = getattr(side, task)() if task != "memory" else {}
        if task == "memory":
            # Of the process in KiB, as Linux has it.
            of_process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            answer = {"peak_gb": (side.device_peak_bytes() or of_process) / 1e9}
        print(json.dumps({**(answer or {}), "seconds": time.perf_counter() - start}), flush=True)


class SideEnded(SystemExit):
    """A side ended before it had answered; says why."""


class Process:
    """A side in a process of its own.

    Args:
        python: the interpreter.
        side: "ours" or "peer"; or "devices", which says what GPUs there are and ends.
        work: see the head of the module.
        **arguments: those of `Ours` or `Peer`, texts.
    """

    def __init__(self, python, side, work, **arguments):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment["PYTHONPATH"] = str(Path(__file__).parents[1])
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            [python, __file__, side, json.dumps({**DEFAULTS, **work}), json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env=environment,
        )

    def ask(self, task, limit_s=None):
        """Returns the answer to a task: the name of a method of the side, or "memory".

        Raises:
            SideEnded: the process ended, or took more than the limit and was killed.
        """
        late = threading.Event()
        timer = threading.Timer(limit_s or threading.TIMEOUT_MAX, self._kill, [late])
        timer.daemon = True
        timer.start()
        try:
            print(task, file=self._process.stdin, flush=True)
            while line := self._process.stdout.readline():
                if line.startswith("{"):
                    return json.loads(line)
        except BrokenPipeError:
            pass  # it says why below
        finally:
            timer.cancel()
        code = self._process.wait()
        self._said.seek(0)
        said = self._said.read()
        raise SideEnded(f"over {limit_s:g} s at {task!r}" if late.is_set() else ended(code, said))

    def _kill(self, late):
        late.set()
        self._process.kill()

    def close(self):
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()


def ended(code, said):
    """Says in a line why a process ended with a code, from what it said on standard error."""
    out = ("RESOURCE_EXHAUSTED", "OutOfMemoryError", "MemoryError", "ResourceExhaustedError")
    if code == -9 or any(sign in said for sign in out):
        return "out of memory"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f"ended with {code}: {lines[-1] if lines else 'it said nothing'}"


if __name__ == "__main__":
    name, own_work, own_arguments = sys.argv[1], *map(json.loads, sys.argv[2:])
    if name == "devices":
        print(json.dumps(Ours.devices()))
    else:
        serve({"ours": Ours, "peer": Peer}[name](own_work, **own_arguments))
