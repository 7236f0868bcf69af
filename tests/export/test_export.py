"""Exports give what the models give, bit for bit, to a process that has TensorFlow alone."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla
from tensorflow.core.protobuf import saved_model_pb2

from pcvae import models
from pcvae.errors import UserError
from pcvae.export import export_model, load_export
from pcvae.export.endpoints import Endpoints
from pcvae.export.operations import OPERATIONS
from pcvae.files import plain_path
from pcvae.layers.heads import HEADS
from pcvae.tracing import functions_of, nodes_of
from tests.models import tiny

pytestmark = pytest.mark.slow

SEED, TEMPERATURE = 3, 0.7

# Knows what the README in an export says, and nothing else.
STRANGER = """
import os, sys
from importlib.machinery import ModuleSpec
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pcvae", "keras", "tf_keras", "tensorflow_probability"):
            return ModuleSpec(name, self, origin="blocked", is_package=True)

    def create_module(self, spec):
        raise ImportError(spec.name)

sys.meta_path.insert(0, Blocked())
import numpy as np
import tensorflow as tf

for name in ("staged", "label"):
    given = dict(np.load(f"{name}.npz"))
    condition = {"condition": given["condition"]} if "condition" in given else {}
    model, seed = tf.saved_model.load(name), tf.constant([3, 0], tf.int32)
    temperature = tf.fill([given["levels"]], 0.7)
    out = {"sample": model.sample(5, temperature, seed, *condition.values())}
    out["range"] = model.sample_range(2, 5, temperature, seed, *condition.values())
    out["means"] = model.sample_means(0, 5, temperature, seed, *condition.values())
    latents = model.encode(given["images"], seed, *condition.values())
    out.update(latents)
    out["decode"] = model.decode(**latents, **condition)
    for levels in (1, given["levels"]):
        arguments = (given["images"], int(levels), seed, *condition.values())
        out[f"reconstruct_{levels}"] = model.reconstruct(*arguments)
    out["rates"] = model.rates(given["images"], seed, *condition.values())
    tensors = {key: tf.constant(value) for key, value in condition.items()}
    signature = model.signatures["sample"]
    images = signature(
        num_samples=tf.constant(5), temperature=temperature, seed=seed, **tensors
    )["images"]
    assert (images.numpy() == out["sample"].numpy()).all()
    decoded = model.signatures["decode"](**latents, **tensors)["images"]
    assert (decoded.numpy() == out["decode"].numpy()).all()
    np.savez(f"{name}_out.npz", **{key: value.numpy() for key, value in out.items()})
    for bad in (given["images"][:, :2], given["images"][0], tf.cast(given["images"], tf.float32)):
        try:
            model.encode(bad, seed, *condition.values())
            raise SystemExit("accepted")
        except (TypeError, ValueError) as error:
            assert "uint8" in str(error)
    for bad in (-1, int(given["levels"]) + 1):
        try:
            model.reconstruct(given["images"], bad, seed, *condition.values())
            raise SystemExit("accepted")
        except tf.errors.InvalidArgumentError as error:
            assert f"num_levels: expected 0 to {given['levels']}" in str(error)
import runpy

runpy.run_path("staged/example.py")
print("keras" in sys.modules, "pcvae" in sys.modules)
"""


def run_python(*arguments, cwd):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def label(folder):
    model = tiny.conditional(condition="label", num_classes=3, prefix_decoders=(1,))
    export_model(model, folder / "label")
    return model


@pytest.fixture(scope="module")
def staged(folder):
    first = tiny.first_stage()
    model = models.StagedVAE([first, tiny.next_stage([first], head="gaussian")])
    export_model(model, folder / "staged")
    return model


@pytest.fixture(scope="module")
def half():
    """A VDVAE, for the options that change its numbers."""
    return tiny.vdvae()


@pytest.fixture(scope="module")
def half_export(half, folder):
    # A name that TensorFlow takes for a pattern.
    path = folder / "half[1] \\ a"
    record = export_model(
        half,
        path,
        weights_dtype="bfloat16",
        batch_size=2,
        xla=True,
        stablehlo_num_samples=2,
    )
    return path, record


@pytest.fixture(scope="module")
def answers(folder, staged, label):
    """What the stranger computed from the exports."""
    for name, model in (("staged", staged), ("label", label)):
        condition = {} if model.condition is None else {"condition": np.array([0, 1, 2, 0, 1])}
        given = {name: array.astype(np.int32) for name, array in condition.items()}
        arrays = {"images": tiny.random_images(), "levels": model.num_levels, **given}
        np.savez(folder / f"{name}.npz", **arrays)
    (folder / "samples_1.png").write_text("mine")
    result = run_python("-c", STRANGER, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "sample: uint8 (4, 4, 4, 3)" in result.stdout
    assert result.stdout.endswith("\nFalse False\n")
    assert (folder / "samples_1.png").read_text() == "mine"  # nothing is overwritten
    assert (folder / "samples_2.png").read_bytes().startswith(b"\x89PNG")
    return {name: dict(np.load(folder / f"{name}_out.npz")) for name in ("staged", "label")}


@pytest.mark.parametrize("name", ["staged", "label"])
def test_tensorflow_alone_gives_the_same_bits(answers, staged, label, name):
    model, got = {"staged": staged, "label": label}[name], answers[name]
    condition = None if model.condition is None else np.array([0, 1, 2, 0, 1])
    given = {"condition": condition, "seed": SEED}
    images, levels = tiny.random_images(), model.num_levels
    latents = model.encode(images, **given)
    expected = {
        "sample": model.sample(5, TEMPERATURE, **given),
        "range": model.sample(5, TEMPERATURE, first_sample=2, **given),
        "means": model.sample(5, TEMPERATURE, pixels="mean", **given),
        **{f"level_{index:03d}": latent for index, latent in enumerate(latents)},
        "decode": model.decode(latents, condition=condition),
        "reconstruct_1": model.reconstruct(images, 1, **given),
        f"reconstruct_{levels}": model.reconstruct(images, **given),
        "rates": model.rate_per_level(images, **given),
    }
    assert got.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(got[key], array, err_msg=key)
        assert got[key].dtype == array.dtype
    np.testing.assert_array_equal(got["decode"], got[f"reconstruct_{levels}"])


def test_the_error_of_other_options_is_measured_and_written_down(half, half_export):
    path, record = half_export
    error = record["error"]
    assert json.loads((path / "export.json").read_text()) == record
    assert 0 < error["reconstruction_mean_abs_levels"] < 2
    assert 0 < error["rate_mean_abs_nats"] < 0.05 * error["rate_mean_nats"]
    assert error["num_images"] == 16
    images = half.sample(16, seed=0, batch_size=2)
    exported = load_export(path)
    drawn = [exported.sample(2, first_sample=start) for start in range(0, 16, 2)]
    difference = np.abs(np.concatenate(drawn).astype(int) - images)
    assert difference.max() == error["sample_max_abs_levels"]
    assert (difference > 0).mean() == error["sample_share_of_pixels_changed"]
    assert f"{error['rate_mean_abs_nats']:.3g} of" in (path / "README.md").read_text()
    with plain_path(path) as plain:
        reader = tf.train.load_checkpoint(f"{plain}/variables/variables")
        dtypes = reader.get_variable_to_dtype_map()
    held = [dtype for key, dtype in dtypes.items() if key.startswith("_values/")]
    assert held == [tf.bfloat16] * len(half.named_weights)
    with pytest.raises(UserError, match="draws 2 images at once"):
        exported.sample(3)
    with pytest.raises(UserError, match="temperature: .*got 1e\\+39"):
        exported.sample(2, temperature=1e39)


@pytest.mark.parametrize("head", HEADS)
def test_the_operations_of_every_head_are_known(head):
    model = tiny.vdvae(head=head, bit_depth=1 if head == "bernoulli" else 8)
    endpoints = Endpoints(model)
    for function in (endpoints.sample, endpoints.reconstruct, endpoints.rates):
        graph_def = function.get_concrete_function().graph.as_graph_def()
        assert {node.op for node in nodes_of(graph_def)} <= OPERATIONS


def test_stablehlo_is_the_model_too(half, half_export):
    text = (half_export[0] / "sample.stablehlo.mlir").read_text()
    assert "loc(" not in text
    [images] = tf.function(
        lambda temperature, seed: xla.call_module(
            [temperature, seed],
            version=9,
            module=text,
            Sout=[(2, *tiny.IMAGE_SHAPE)],
            Tout=[tf.uint8],
            platforms=["CPU"],
        )
    )(tf.fill([half.num_levels], TEMPERATURE), tf.constant([SEED, 0]))
    difference = np.abs(images.numpy().astype(int) - half.sample(2, TEMPERATURE, seed=SEED))
    assert difference.max() <= 1  # XLA's rounding
    assert (difference > 0).mean() < 0.02


def tampered(source, target, change):
    """Copies an export with a change of its graph."""
    shutil.copytree(source, target)
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((source / "saved_model.pb").read_bytes())
    change(saved_model.meta_graphs[0])
    (target / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    return target


def write_file(graph):
    functions_of(graph.graph_def)[0].node_def.add(name="evil", op="WriteFile")


def py_function(graph):
    graph.graph_def.node.add(name="evil", op="EagerPyFunc")


def call_the_saver(graph):
    functions = functions_of(graph.graph_def)
    saver = next(f for f in functions if any(node.op == "SaveV2" for node in f.node_def))
    node = functions[0].node_def.add(name="evil", op="StatefulPartitionedCall")
    node.attr["f"].func.name = saver.signature.name


def keras_object(graph):
    graph.object_graph_def.nodes[0].user_object.identifier = "_tf_keras_model"


def two_of_one_name(graph):
    functions = functions_of(graph.graph_def)
    honest = copy.deepcopy(functions[0])
    functions[0].node_def.add(name="evil", op="WriteFile")
    functions.append(honest)


def no_objects(graph):
    graph.ClearField("object_graph_def")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (write_file, "not loaded: WriteFile"),
        (py_function, "not loaded: EagerPyFunc"),
        (call_the_saver, "not loaded: __inference__traced_save"),
        (two_of_one_name, "not loaded: WriteFile"),
        (keras_object, "not loaded: _tf_keras_model"),
        (no_objects, "expected the one graph of an export"),
    ],
)
def test_a_graph_that_could_do_more_is_not_loaded(half_export, tmp_path, change, says):
    with pytest.raises(UserError, match=says):
        load_export(tampered(half_export[0], tmp_path / "x", change))


def test_other_directories_are_no_exports(half_export, tmp_path):
    with pytest.raises(UserError, match="expected a directory of pcvae-export"):
        load_export(tmp_path)
    path = tampered(half_export[0], tmp_path / "x", lambda graph: None)
    (path / "saved_model.pbtxt").write_text("")
    with pytest.raises(UserError, match="expected the one graph"):
        load_export(path)
    (path / "export.json").write_text('{"format_version": 2}')
    with pytest.raises(UserError, match="format_version 2, expected 1"):
        load_export(path)
    for name in ("saved_model.pb", "export.json"):  # a file that never ends
        path = Path(shutil.copytree(half_export[0], tmp_path / f"endless_{name}"))
        (path / name).unlink()
        (path / name).symlink_to("/dev/zero")
        with pytest.raises(UserError, match="no plain file"):
            load_export(path)


@pytest.fixture(scope="module")
def loaded(folder, staged):
    return tf.saved_model.load(str(folder / "staged"))


@pytest.mark.parametrize(
    "change",
    [
        {"levels": []},
        {"levels": {"a": 1}},
        {"image_shape": [4, 4, 1]},
        {"image_shape": [10**12, 10**12, 3]},
        {"image_shape": [float("1e400"), 1, 1]},
        {"batch_size": 10**9},
        {"condition": {"kind": "label", "shape": [], "num_classes": 3}},
        {"stage_ends": [1, 1, 3]},
        {"stage_ends": [5]},
        {"stage_ends": "os"},
    ],
    ids=str,
)
def test_a_record_that_the_graph_does_not_keep_is_refused(
    folder, loaded, tmp_path, monkeypatch, change
):
    monkeypatch.setattr(tf.saved_model, "load", lambda path: loaded)  # the same, read once
    path = Path(shutil.copytree(folder / "staged", tmp_path / "x"))
    record = json.loads((path / "export.json").read_text())
    assert load_export(path).stage_ends == tuple(record["stage_ends"]) == (1, 3)
    (path / "export.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(UserError) as error:
        load_export(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"weights_dtype": "int8"}, "weights_dtype: .*float32.*'int8'"),
        ({"batch_size": 0}, "batch_size: .*got 0"),
        ({"stablehlo_num_samples": 0}, "stablehlo_num_samples: .*got 0"),
    ],
)
def test_options_are_checked_first(half, tmp_path, options, says):
    with pytest.raises(UserError, match=says):
        export_model(half, tmp_path / "x", **options)
    assert not list(tmp_path.iterdir())


def test_what_is_not_finite_is_not_exported(tmp_path):
    model = tiny.vdvae()
    name = sorted(model.named_weights)[3]
    weight = model.named_weights[name]
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(UserError, match=f"NaN or infinity in {name}$"):
        export_model(model, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_what_is_there_stays(half, label, tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(UserError, match="nothing is overwritten"):
        export_model(half, tmp_path)
    with pytest.raises(UserError, match="only models without a condition"):
        export_model(label, tmp_path / "x", stablehlo_num_samples=1)
    assert [path.name for path in Path(tmp_path).iterdir()] == ["mine"]
