"""A run directory that somebody else made: the golden one loads, a tampered one is one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pcvae import models, runs
from pcvae.errors import UserError

GOLDENS = Path(__file__).parents[1] / "goldens"


@pytest.fixture
def run_dir(tmp_path):
    return Path(shutil.copytree(GOLDENS / "run_0_1_0", tmp_path / "run"))


@pytest.fixture
def expected():
    with np.load(GOLDENS / "run_0_1_0_expected.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def change_model(run_dir, **config):
    path = run_dir / "model.json"
    record = json.loads(path.read_text())
    record["config"].update(config)
    path.write_text(json.dumps(record))


def refused(run_dir):
    with pytest.raises(UserError) as error:
        runs.load(run_dir)
    assert "\n" not in str(error.value)
    return str(error.value)


def assert_images_equal(actual, expected):
    """Equal but where another processor's rounding meets the border between two pixel values."""
    difference = np.abs(actual.astype(int) - expected.astype(int))
    assert (difference > 0).mean() < 0.01


@pytest.mark.slow
def test_a_run_of_version_0_1_0_computes_what_it_did(run_dir, expected):
    # Its gin files are a record: nobody reads them on the way to the model.
    (run_dir / "config.gin").write_text("import os\nx = @os.system()\n__import__('os').abort()\n")
    model, images = runs.load(run_dir), expected["images"]
    assert models.weights_sha256(model) == expected["sha256"]
    assert_images_equal(model.reconstruct(images, seed=3), expected["reconstructions"])
    assert_images_equal(model.reconstruct(images, 2, seed=3), expected["prefix"])
    assert_images_equal(model.sample(8, 0.8, seed=5), expected["samples"])
    np.testing.assert_allclose(model.rate_per_level(images, seed=3), expected["rates"], rtol=1e-3)


KERAS_OBJECT = {"module": "os", "class_name": "system", "config": "true", "registered_name": None}


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"dtype": KERAS_OBJECT}, "dtype: expected one of float32"),
        ({"head": KERAS_OBJECT}, "head: expected numbers, words and lists"),
        ({"split_levels": [[KERAS_OBJECT]]}, "split_levels: expected numbers, words and lists"),
        ({"name": "../../etc"}, "name: expected letters"),
        ({"custom_objects": {}}, "has no argument custom_objects"),
        ({"kwargs": {}}, "has no argument kwargs"),
        ({"self": 1}, "has no argument self"),
        ({"num_mixtures": float("nan")}, "NaN, which is no number"),
        ({"decoder_blocks": "1x2,4m1,4x999999999,8m4,8x1"}, "numbers go up to 9,999"),
        ({"decoder_blocks": ",".join(["1x9999"] * 9) + ",8m1"}, "at most 9,999 blocks in all"),
        # A terabyte, and more than there are addresses for.
        (
            {"width": 200_000, "width_per_resolution": ""},
            "GiB for its weights, this process may take",
        ),
        ({"num_mixtures": 10**18}, "weights do not fit the model"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_tampered_models_are_refused_before_anything_is_built(run_dir, config, says):
    change_model(run_dir, **config)
    assert says in refused(run_dir)


def test_a_model_without_weights_must_fit_into_memory(run_dir):
    change_model(run_dir, width=10**6, width_per_resolution="")
    with pytest.raises(UserError, match="GiB for its weights, this process may take"):
        runs.describe_run(run_dir=run_dir)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "nesting without end"),
        ('{"format_version": 1, "class": "Lambda", "config": {}}', "expected a class of"),
        ('{"format_version": 1, "class": ["VDVAE"], "config": {}}', "expected a class of"),
        (" " * (5 * 2**20), "a file of 5,242,880 bytes"),
    ],
    ids=["nesting", "class", "list", "size"],
)
def test_files_that_are_no_models(run_dir, text, says):
    (run_dir / "model.json").write_text(text)
    assert says in refused(run_dir)


def resaved(run_dir, change):
    """Writes the checkpoint anew, with a change of its {key: tensor}."""
    prefix = str(run_dir / "checkpoints" / "ckpt-600")
    reader = tf.train.load_checkpoint(prefix)
    tensors = {
        key: tf.constant(reader.get_tensor(key)) for key in reader.get_variable_to_shape_map()
    }
    change(tensors)
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )


GAIN = "ema/decoder.Sgain/.ATTRIBUTES/VARIABLE_VALUE"


def test_the_object_graph_of_a_checkpoint_is_not_asked(run_dir, expected, tmp_path):
    graph = "_CHECKPOINTABLE_OBJECT_GRAPH"
    resaved(run_dir, lambda tensors: tensors.update({graph: tf.constant(b"\x80\x04cos\nsystem")}))
    (run_dir / "checkpoints" / "checkpoint").write_text('model_checkpoint_path: "/etc/passwd"\n')
    assert models.weights_sha256(runs.load(run_dir)) == expected["sha256"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tensors: tensors.update({GAIN: tf.constant(["import os"] * 8)}), "is damaged"),
        (lambda tensors: tensors.update({GAIN: tf.zeros(9)}), "decoder/gain has shape (9,)"),
        (lambda tensors: tensors.pop(GAIN), "missing decoder/gain"),
    ],
    ids=["text", "shape", "missing"],
)
def test_tampered_checkpoints(run_dir, change, says):
    resaved(run_dir, change)
    assert says in refused(run_dir)


def test_an_index_that_claims_more_than_there_is(run_dir):
    data = run_dir / "checkpoints" / "ckpt-600.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    assert "is damaged" in refused(run_dir)


@pytest.mark.parametrize(
    "origin",
    ["arrays:x", ["os"], {"image_size": 8}, {"spec": "synthetic", "__class__": "os"}, 7],
    ids=str,
)
def test_a_tampered_record_of_the_data(run_dir, origin):
    (run_dir / "run.json").write_text(json.dumps({"data": origin, "batch_size": 4}))
    with pytest.raises(UserError, match="expected under data the arguments of data.from_spec"):
        runs.evaluate(run_dir=run_dir)


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("went_off"),))


def test_a_pickle_among_the_images(run_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("images.npz", images=np.array([Bomb()], dtype=object))
    with pytest.raises(UserError, match="pickles are refused"):
        runs.reconstruct(
            run_dir=run_dir, images="images.npz", num_levels=None, seed=0, output="out.png"
        )
    assert not Path("went_off").exists()
