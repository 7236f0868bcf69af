"""How long commands take from the call to the last line, and with what.

python benchmarks/start.py [--repeats=3] [--commands=help,train,sample,...]

Expected: under 10 minutes on 2 cores. Each command is a process of its own, on a run of the
quickstart's model after 4 steps; commands take turns. Prints medians: seconds of the clock, with
the least and the largest, seconds of the processors, and parts of the clock's: imports (with the
interpreter), building models, reading weights, tracing graphs, and all that is left, which is the
work itself with the first run of each graph.
"""

import argparse
import contextlib
import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PARTS = ("imports", "building", "weights", "tracing", "the rest")
# {name: arguments of pcvae}, in a folder that holds `run`, `images.npz` and `export`.
COMMANDS = {
    "help": ["--help"],
    "train, 4 steps": ["train", "--gin.TRAIN_STEPS=4", "--run_dir=NEW"],
    "sample": ["sample", "--run_dir=run", "--output=sample.png"],
    "sample, export": ["sample", "--export=export", "--output=sample.png"],
    "evaluate": ["evaluate", "--run_dir=run"],
    "reconstruct": [
        *("reconstruct", "--run_dir=run", "--images=images.npz"),
        *("--num_levels=4", "--output=reconstruct.png"),
    ],
    "encode": ["encode", "--run_dir=run", "--images=images.npz", "--output=encode.npz"],
    "export": ["export", "--run_dir=run", "--output=NEW"],
}


class Stopwatch:
    """Seconds of parts; what one part does inside another counts for the outer one."""

    def __init__(self):
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._is_running = False

    @contextlib.contextmanager
    def part(self, name):
        """Times a block."""
        if self._is_running:
            yield
            return
        self._is_running, start = True, time.time()
        try:
            yield
        finally:
            self._is_running = False
            self.seconds[name] += time.time() - start

    def watch(self, owner, function, name):
        """Times all calls of a function, which is an attribute of its owner."""
        timed = getattr(owner, function)

        @functools.wraps(timed)
        def call(*arguments, **named):
            with self.part(name):
                return timed(*arguments, **named)

        setattr(owner, function, call)


def child(arguments, called_at, answer):
    """Runs a command in this process, and writes the seconds of its parts."""
    from pcvae.cli import command, program

    stopwatch, import_runs = Stopwatch(), command.import_runs

    def watched_import():
        runs = import_runs()
        from tensorflow.python.framework import func_graph

        from pcvae import models, training

        stopwatch.seconds["imports"] = time.time() - called_at
        stopwatch.watch(models.VDVAE, "__init__", "building")
        for function in ("arrays_of", "check_finite"):
            stopwatch.watch(training, function, "weights")
        stopwatch.watch(models, "load_weights", "weights")
        stopwatch.watch(func_graph, "func_graph_from_py_func", "tracing")
        return runs

    command.import_runs = watched_import
    code = program.main(arguments)
    Path(answer).write_text(json.dumps(stopwatch.seconds))
    return code


def measure(arguments, folder):
    """Runs a command; returns {"clock", "processors" and parts: seconds}."""
    answer = folder / "answer.json"
    new = tempfile.mkdtemp(dir=folder)
    given = [argument.replace("NEW", f"{new}/new") for argument in arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    watched = [__file__, f"--called_at={start}", f"--answer={answer}", "--"]
    is_light = given == ["--help"]  # what watches would import more than it does
    done = subprocess.run(
        [sys.executable, *(["-m", "pcvae"] if is_light else watched), *given],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    clock, after = time.time() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{given}: {done.stderr}")
    seconds = dict.fromkeys(PARTS, 0.0) if is_light else json.loads(answer.read_text())
    seconds["the rest"] = clock - sum(seconds.values())
    used = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return {"clock": clock, "processors": used, **seconds}, Path(new) / "new"


def main():
    """Measures, or is the process of a command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--commands", default=",".join(name.split(",")[0] for name in COMMANDS))
    for hidden in ("--called_at", "--answer"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.answer:
        raise SystemExit(child(arguments.command, float(arguments.called_at), arguments.answer))
    wanted = {*arguments.commands.split(",")}
    commands = {name: line for name, line in COMMANDS.items() if name.split(",")[0] in wanted}
    import numpy as np

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), dtype=np.uint8)
        np.savez(folder / "images.npz", images=images)
        for key, place in (("train, 4 steps", "run"), ("export", "export")):  # not counted
            measure(COMMANDS[key], folder)[1].rename(folder / place)
        rounds = [
            {key: measure(line, folder)[0] for key, line in commands.items()}
            for _ in range(arguments.repeats)
        ]
    print("| command | clock, s | processors, s | " + " | ".join(PARTS) + " |")
    print("|---|---|---|" + "---|" * len(PARTS))
    for key in commands:
        found = {what: [row[key][what] for row in rounds] for what in rounds[0][key]}
        middle = {what: statistics.median(values) for what, values in found.items()}
        spread = f"{min(found['clock']):.2f} to {max(found['clock']):.2f}"
        numbers = [middle["processors"], *(middle[part] for part in PARTS)]
        cells = [key, f"{middle['clock']:.2f} ({spread})", *(f"{n:.2f}" for n in numbers)]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
