"""A library in miniature: a root function that is given factories, as pcvae.runs.train is."""

import os
from collections.abc import Callable
from typing import Any

calls = []


class Base:
    def __init__(self, name=None, dtype=None):
        self.name, self.dtype = name, dtype


class Model(Base):
    """Hands further arguments to its base, as Keras models do."""

    def __init__(self, image_shape=None, width=8, blocks="8x1", **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.width, self.blocks = image_shape, width, blocks


class Other(Model):
    pass


def kwargs_python(image_shape=None, width=8, **kwargs):
    return Model(image_shape, width, **kwargs)


def kwargs_keras(image_shape=None, width=8, **kwargs):
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments passed to Model: {kwargs}")
    return Model(image_shape, width)


class Dataset:
    def __init__(self, spec):
        self.spec, self.image_shape = spec, (4, 4, 3)


def from_spec(spec, image_size=None):
    return Dataset(spec)


def optimizer(learning_rate=1e-3, clip_norm=200.0, use_warmup=False):
    return ("optimizer", learning_rate, clip_norm, use_warmup)


def slow(rate=1.0, schedule=None):
    return ("slow", rate, schedule)


def schedule(power=2.0):
    return ("schedule", power)


def needs(must, other=1):
    return (must, other)


def base() -> Base:
    return Base()


def typed(
    make: Callable,
    flag: bool = True,
    text: str = "",
    path: str | os.PathLike | None = None,
    part: Base | None = None,
    kind: type[Base] = Base,
    number: int | None = None,
    anything: Any = None,
):
    return make, flag, text, path, part, kind, number, anything


def train(
    *, run_dir, model_fn, dataset, steps, optimizer_fn=None, seed=0, extra=None, on_assembled=None
):
    model = model_fn(image_shape=dataset.image_shape)
    made = optimizer_fn() if optimizer_fn else None
    text = on_assembled() if on_assembled else None
    calls.append({"run_dir": run_dir, "model": model, "dataset": dataset, "steps": steps})
    return model, dataset, steps, made, text
