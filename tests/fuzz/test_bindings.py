"""Any value for any name of gin: the run is put together, or one line names what does not fit."""

import inspect
import re
import tempfile

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from pcvae import data, models, objectives, runs, training
from pcvae.cli.commands import train
from pcvae.errors import UserError
from pcvae.gin_utils import shipped_gin_folder
from pcvae.runs import training_run
from tests.fuzz.promise import cases, outcome

EXPERIMENT = """\
from __gin__ import dynamic_registration
from pcvae import data
include 'models/small_vdvae.gin'
include 'objectives/constrained_rate.gin'
include 'datasets/synthetic.gin'
include 'runs/constrained.gin'
data.from_spec.spec = 'arrays:images.npy'
TRAIN_STEPS = 1
BATCH_SIZE = 2
STRATEGY = 'one_device'
WIDTH = 4
MIN_WIDTH = 4
MAX_WIDTH = 4
LATENT_WIDTH = 2
RATE_TARGET_NATS_PER_DIM = 0.1
"""
FILES = ("models/small_vdvae", "objectives/constrained_rate", "runs/elbo", "runs/constrained")
CONFIGURABLE = {
    "runs.train": runs.train,
    "data.from_spec": data.from_spec,
    "models.small_vdvae": models.small_vdvae,
    "objectives.ConstrainedRate": objectives.ConstrainedRate,
    "objectives.LagrangeMultiplier": objectives.LagrangeMultiplier,
    "training.AdamW": training.AdamW,
    "training.GradientUpdate": training.GradientUpdate,
    "training.Trainer": training.Trainer,
    "training.make_strategy": training.make_strategy,
}
FITS = "the parts fit together"
REFERENCES = [
    "@runs.train",
    "@runs.train()",
    "@models.small_vdvae",
    "@models.small_vdvae()",
    "@data.from_spec()",
    "@training.AdamW",
    "@training.GradientUpdate()",
    "@scope/training.AdamW()",
    "@objectives.LagrangeMultiplier()",
    "%TRAIN_STEPS",
    "%HEAD",
    "%NOTHING",
    "%gin.REQUIRED",
]


def names():
    """Returns every macro of the files, and every parameter of what they bind."""
    text = "".join((shipped_gin_folder() / f"{file}.gin").read_text() for file in FILES)
    macros = sorted(set(re.findall("^[A-Z_]+(?= =)", text, re.MULTILINE)))
    # Devices are those of a machine; fields are parameters of the model.
    parameters = [
        f"{name}.{parameter}"
        for name, function in CONFIGURABLE.items()
        for parameter in inspect.signature(function).parameters
    ]
    return macros + [name for name in parameters if not name.endswith(("fields", "devices"))]


class Written(str):
    """A value that stands in the source as it is."""

    __slots__ = ()
    __repr__ = str.__str__


plain = (
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.integers()
    | st.sampled_from([2**31, 2**63, 2**64, -(2**63), 10**30, 0])
    | st.floats(allow_nan=False)
    | st.sampled_from([1e-300, 1e300, 0.5, 0.999])
    | st.text("aA0x4,:%@#'\"\\\n{[( é\0", max_size=6)
    | st.sampled_from(["geco", "linear", "auto", "1x1", "4x4", "synthetic", "arrays:images.npy"])
    | st.sampled_from(REFERENCES).map(Written)
)
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.integers(-1, 9) | st.text("ab8", max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)
# As a user may type it, who writes no gin.
typed = st.text("aA0.x4,:%@#'\"\\{[( )]}=-+eé", max_size=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with an experiment of two levels on images of four pixels."""
    folder = tmp_path_factory.mktemp("bindings")
    np.save(folder / "images.npy", np.arange(60, dtype=np.uint8).reshape(5, 2, 2, 3))
    (folder / "tiny.gin").write_text(EXPERIMENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@cases(0.5)
@given(name=st.sampled_from(names()), value=values.map(repr) | typed)
def test_any_value_of_any_name(folder, module_eagerly, name, value):
    with (
        tempfile.TemporaryDirectory(dir=folder) as run_dir,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(training_run, "train_resumably", lambda trainer, *_, **__: step(trainer))
        patch.setattr(training_run, "evaluate_split", finish)
        argv = ["--gin_file=tiny.gin", f"--run_dir={run_dir}", f"--gin.{name}={value}"]
        *_, parameter = name.split(".")
        named = [name, parameter, parameter.replace("MULTIPLIER_", "multiplier "), value, FITS]
        named += re.findall(r"[@%](?:\S+\.)?(\w+)", value)
        assert outcome(train.main, argv, folder, named) is not None


def step(trainer):
    """Takes one step on black images."""
    images = np.zeros((2, *trainer.model.image_shape), np.uint8)
    trainer.step({"images": images, "first_example": tf.constant(0, tf.int64)})


def finish(*_):
    raise UserError(FITS)
