"""Kills runs at random moments, and compares what they end with and a run that nobody killed.

python -m tests.fuzz.kill [--kills=20] [--seed=0] [--kinds=elbo,constrained,second_stage,fit]

The kills are spread evenly over the kinds of run. Weights, logs (but for times) and results have to
be equal, bit by bit; it exits with 1 where one is not. It runs tiny models op by op, without
graphs: some 10 minutes on 2 idle cores. --graphs takes graphs.
"""

import argparse
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.cli.tiny_steps import write_pictures

ROOT = Path(__file__).parents[2]
OP_BY_OP = ROOT / "tests" / "cli" / "op_by_op"
TIMES = "throughput/"
FIT_ARGUMENTS = {"steps": 24, "report_every_steps": 5, "checkpoint_every_steps": 7}
FIT = "from pcvae import runs; runs.fit_prefix_decoders(run_dir={run_dir!r}, **{arguments})"
TINY = {
    "BATCH_SIZE": 4,
    "WIDTH": 8,
    "MIN_WIDTH": 4,
    "MAX_WIDTH": 8,
    "LATENT_WIDTH": 2,
    "TRAIN_STEPS": 24,
    "REPORT_EVERY_STEPS": 5,
    "CHECKPOINT_EVERY_STEPS": 7,
    "EVALUATE_EVERY_STEPS": 9,
    "IMAGES_EVERY_STEPS": 1000,
}


def training(experiment, *arguments):
    """Returns a function of a run directory that returns the command of its training."""
    tiny = [f"--gin.{name}={value}" for name, value in TINY.items()]

    def command(run_dir):
        own = [f"--gin_file=experiments/{experiment}.gin", f"--run_dir={run_dir}", *arguments]
        return [sys.executable, "-m", "pcvae", "train", *own, *tiny]

    return command


def fit(run_dir):
    """Returns the command of a fit of decoders to a run's prefixes."""
    return [sys.executable, "-c", FIT.format(run_dir=str(run_dir), arguments=FIT_ARGUMENTS)]


def start(command, environment):
    """Starts a command; returns it when it trains, with what it has said so far."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said = b""
    for line in process.stdout:
        said += line
        if re.search(rb"\bstep \d", line):
            break
    return process, said


def finish(process, said=b""):
    """Waits for a good end of a process; returns how many lines it said until then."""
    rest = process.stdout.read()
    if process.wait():
        raise SystemExit(f"a run ended with {process.returncode}:\n{(said + rest).decode()}")
    return max(1, rest.count(b"\n"))


def state(run_dir):
    """Returns what a run has come to: {name: array or value}."""
    import tensorflow as tf

    found = {}
    for path in sorted(Path(run_dir).rglob("*")):
        name = str(path.relative_to(run_dir))
        if path.suffix == ".index" and "frozen" not in name:
            reader = tf.train.load_checkpoint(str(path.with_suffix("")))
            for key in reader.get_variable_to_shape_map():
                if key.endswith("VARIABLE_VALUE"):
                    found[f"{name}: {key}"] = reader.get_tensor(key)
        elif path.suffix == ".jsonl":
            for number, line in enumerate(path.read_text().splitlines()):
                record = json.loads(line)
                found[f"{name}: line {number}"] = {
                    key: value for key, value in record.items() if not key.startswith(TIMES)
                }
        elif path.name in ("evaluation.json", "fit.json"):
            found[name] = json.loads(path.read_text())
    return found


def differences(one, other):
    """Returns the names in which two states differ."""
    names = {*one, *other}
    return sorted(n for n in names if not np.array_equal(one.get(n), other.get(n)))


def check(make_run, command, kills, seed, environment, expected, seconds, lines):
    """Runs a command with kills until there were enough; returns the names of what differs.

    Args:
        make_run: called with nothing; returns a new run directory, ready for the command.
        command: of a run directory.
        kills: how many.
        seed: of the moments, from before the import of TensorFlow to the last step.
        environment: of the processes.
        expected: the state that a run without kills ends with.
        seconds: what that took, from its first line about a step.
        lines: how many lines it said from there.
    """
    moments, wrong, done = random.Random(seed), [], 0
    run_dir = make_run()
    while done < kills:
        if moments.random() < 0.2:  # while it starts
            process = subprocess.Popen(
                command(run_dir),
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(moments.uniform(0.0, 5.0))
        else:
            process, _ = start(command(run_dir), environment)
            for _ in range(moments.randrange(max(1, lines // 3))):
                process.stdout.readline()
            time.sleep(moments.uniform(0.0, seconds / lines))
        if process.poll() is None:
            process.kill()
            done += 1
        elif process.returncode:
            raise SystemExit(f"a run ended with {process.returncode} after {done} kills")
        else:  # it was faster: that one is compared, and the next one killed
            wrong += differences(expected, state(run_dir))
            run_dir = make_run()
        process.wait()
        if process.stdout:
            process.stdout.close()
    finish(*start(command(run_dir), environment))
    return wrong + differences(expected, state(run_dir))


def main():
    """Tries all kinds, and says how each went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default="elbo,constrained,second_stage,fit")
    parser.add_argument("--graphs", action="store_true")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "1"}
    if not options.graphs:
        environment["PYTHONPATH"] = str(OP_BY_OP)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        environment["PCVAE_CACHE_DIR"] = f"{folder}/cache"
        data, first = f"--data={write_pictures(Path(folder))}", Path(folder, "first")
        target, stage = "--gin.RATE_TARGET_NATS_PER_DIM=0.1", f"--first_stage={first}"
        commands = {
            "elbo": training("quickstart", data),
            "constrained": training("synthetic_rate", data, target),
            "second_stage": training("table2_synthetic_stage2", data, stage),
            "fit": fit,
        }
        if {"second_stage", "fit"} & set(kinds):
            finish(*start(commands["elbo"](first), environment))
        numbers = itertools.count()

        def make_run(kind):
            run_dir = Path(folder, f"{kind}-{next(numbers)}")
            if kind == "fit":
                shutil.copytree(first, run_dir)
            return run_dir

        for index, kind in enumerate(kinds):
            kills = len(range(index, options.kills, len(kinds)))
            whole = make_run(kind)
            process, said = start(commands[kind](whole), environment)
            begun = time.monotonic()
            lines = finish(process, said)
            seconds, expected = time.monotonic() - begun, state(whole)
            wrong = check(
                lambda kind=kind: make_run(kind),
                commands[kind],
                kills,
                options.seed + index,
                environment,
                expected,
                seconds,
                lines,
            )
            failed |= bool(wrong)
            verdict = f"differs in {', '.join(wrong[:5])}" if wrong else "bit by bit equal"
            print(f"{kind}: {kills} kills, {len(expected)} values: {verdict}", flush=True)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
