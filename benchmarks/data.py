"""How long training waits for images of each source, at a thousand images a second.

python benchmarks/data.py [--images_per_second 1000] [--batch_size 32] [--sides 32,64] [--steps 300]

Expected: about two minutes on 2 cores. Makes a source of each kind from drawn pictures, and takes
batches in the order of training. In place of a training step it sleeps for what is left of the
step's time, so that the cores are free, as they are beside a GPU; `--busy` computes instead, on
every core. Prints the share of time spent waiting: the goal is under 2 %.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import lmdb
import numpy as np
from PIL import Image

from pcvae import data
from pcvae.data.synthetic import draw_image

COUNT = 512  # images of a source


def make_sources(folder, side):
    """Writes the images of a side in each form; yields (name, dataset)."""
    images = np.stack([draw_image(0, "train", index, 32) for index in range(COUNT)])
    if side != 32:
        images = np.stack([np.asarray(Image.fromarray(i).resize((side, side))) for i in images])
    splits = {"train": images[:-16], "validation": images[-16:-8], "test": images[-8:]}
    np.savez(folder / "arrays.npz", **splits)
    (folder / "pictures").mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / "pictures" / f"{index:05d}.png")
    with (
        lmdb.open(str(folder / "lmdb"), map_size=2**30) as database,
        database.begin(write=True) as transaction,
    ):
        for index in range(COUNT):
            key = f"{index:05d}".encode()
            transaction.put(key, (folder / "pictures" / f"{index:05d}.png").read_bytes())
    yield "arrays", data.from_spec(f"arrays:{folder / 'arrays.npz'}")
    yield "folder", data.from_spec(f"folder:{folder / 'pictures'}", side)
    yield "lsun", data.from_spec(f"lsun:{folder / 'lmdb'}", side)
    yield "synthetic", data.SyntheticImages(side, COUNT, 8, 8)


def work(seconds, busy):
    """Takes some time: asleep, or with products of matrices on every core."""
    end = time.perf_counter() + seconds
    if not busy:
        time.sleep(max(seconds, 0.0))
        return
    matrix = np.ones((256, 256), np.float32)
    while time.perf_counter() < end:
        matrix @ matrix


def waiting(images, batch_size, steps, seconds_per_step, busy):
    """Returns the share of time that training waits for its batches."""
    batches = iter(data.training_batches(images, batch_size, seed=0, num_steps=steps + 2))
    for _ in range(2):  # the pipeline starts
        next(batches)
    waited, start = 0.0, time.perf_counter()
    for _ in range(steps):
        before = time.perf_counter()
        next(batches)
        took = time.perf_counter() - before
        waited += took
        work(seconds_per_step - took, busy)
    return waited / (time.perf_counter() - start)


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images_per_second", type=float, default=1000.0)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--sides", default="32,64", help="of the images, between commas")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--busy", action="store_true", help="compute in place of sleeping")
    arguments = parser.parse_args()
    seconds = arguments.batch_size / arguments.images_per_second
    print(f"{'source':>10} {'side':>5} {'waiting':>8}")
    for side in map(int, arguments.sides.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["PCVAE_CACHE_DIR"] = str(Path(folder) / "cache")
            for name, dataset in make_sources(Path(folder), side):
                images = dataset.images("train")
                share = waiting(
                    images, arguments.batch_size, arguments.steps, seconds, arguments.busy
                )
                print(f"{name:>10} {side:5} {100 * share:7.2f}%", flush=True)


if __name__ == "__main__":
    main()
