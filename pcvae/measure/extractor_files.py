"""Feature extractors from what a user has: a callable, a Keras model, or a file with one.

Nothing is fetched here. A published network gives published numbers only with its own
preprocessing, so the file must hold it: images arrive with pixel values 0..255.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.files import plain_path
from pcvae.measure.features import FeatureExtractor
from pcvae.measure.legibility import legibility_extractor

# The names of the graph of 2015 (classify_image_graph_def.pb), whose features FID is defined on.
INCEPTION_INPUT, INCEPTION_FEATURES = "ExpandDims", "pool_3"
# The outputs of a Keras model that has several: for distances, and for a legible share.
FEATURES, CERTAINTY = "features", "certainty"
FORMS = "a callable, a Keras model, or the path of a .keras file, a SavedModel or a frozen .pb"


def as_extractor(
    source: Any, resize: str | None = None, name: str | None = None
) -> FeatureExtractor:
    """Returns the feature extractor that something stands for.

    Args:
        source: a `FeatureExtractor`, which is returned as it is; a Keras model; any callable
            uint8 [batch, height, width, channels] -> [batch, num_features]; or the path of a
            ``.keras`` file (several outputs are called ``features`` and, where it reads digits,
            ``certainty``; see `legibility_extractor`), of the folder of a SavedModel (its signature
            ``serving_default``), or of the frozen Inception graph of 2015, ``.pb``, with the
            tensors ``ExpandDims:0`` and ``pool_3:0``.
        resize: see `FeatureExtractor`.
        name: what stands in results; by default that of the model, the function or the file.

    Raises:
        UserError: the file is missing, or it is none of these.
    """
    if isinstance(source, FeatureExtractor):
        return source
    if isinstance(source, keras.Model):
        return _keras_extractor(source, name or source.name, resize)
    if callable(source):
        name = name or getattr(source, "__name__", type(source).__name__)
        return FeatureExtractor(source, name, resize=resize)
    try:
        path = Path(os.path.expanduser(source))
    except TypeError:
        raise UserError(f"extractor: expected {FORMS}, got {source!r}") from None
    if not path.exists():
        raise UserError(f"extractor: there is no file {path}: expected {FORMS}")
    name = name or path.stem
    if (path / "saved_model.pb").is_file():
        return _saved_model_extractor(path, name, resize)
    if path.suffix == ".keras":
        return _keras_extractor(_read_keras(path), name, resize)
    if path.suffix == ".pb":
        return _inception_extractor(path, name, resize)
    raise UserError(f"extractor: {path} is none: expected {FORMS}")


def file_sha256(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a file, or of all files of a folder and their names."""
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        lines = (f"{file.relative_to(path).as_posix()} {file_sha256(file)}\n" for file in files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _model_sha256(model):
    """Returns a hash of layers and weights; that of a .keras file would hold the time of day."""
    digest = hashlib.sha256(model.to_json().encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _read_keras(path):
    try:
        with plain_path(path) as plain:
            return keras.saving.load_model(plain, compile=False, safe_mode=True)
    # Keras raises errors of many kinds for what is no model, or needs code that is not there.
    except Exception as error:
        raise UserError(f"extractor: Keras cannot read {path}: {_first_line(error)}") from error


def _keras_extractor(model, name, resize):
    shape, dtype = model.input_shape, model.inputs[0].dtype
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise UserError(
            f"extractor {name}: expected a model of images [batch, height, width, channels], got "
            f"one of {shape}"
        )

    several = getattr(model, "output", None)  # which not every model knows that was read
    outputs = several if isinstance(several, dict) else {FEATURES: several}
    if FEATURES not in outputs:
        raise UserError(
            f"extractor {name}: expected an output {FEATURES}, got {', '.join(outputs)}"
        )

    def giving(output):
        def given(images):
            values = model(tf.cast(images, dtype), training=False)
            return values[output] if isinstance(values, dict) else values

        return given

    shared = {"input_shape": shape[1:], "resize": resize, "sha256": _model_sha256(model)}
    extractor = FeatureExtractor(giving(FEATURES), name, **shared, in_graph=True)
    if CERTAINTY in outputs:
        own = {"name": f"{name}, legible", **shared}
        extractor.legibility = legibility_extractor(giving(CERTAINTY), **own)
    return extractor


def _saved_model_extractor(path, name, resize):
    try:
        with plain_path(path) as plain:
            loaded = tf.saved_model.load(plain)
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise UserError(
            f"extractor: TensorFlow cannot read {path}: {_first_line(error)}"
        ) from error
    signature = loaded.signatures.get("serving_default")
    if signature is None:
        found = ", ".join(loaded.signatures) or "none"
        raise UserError(f"extractor {name}: no signature serving_default; its signatures: {found}")
    inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise UserError(
            f"extractor {name}: expected one input and one output, got {', '.join(inputs)} and "
            f"{', '.join(outputs)}"
        )
    ((key, spec),) = inputs.items()
    if spec.shape.rank != 4:
        raise UserError(
            f"extractor {name}: expected an input [batch, height, width, channels], got "
            f"{spec.shape}"
        )

    def features(images):
        (given,) = signature(**{key: tf.cast(images, spec.dtype)}).values()
        return given

    features.owner = loaded  # its variables live as long as it does
    shape, sha256 = spec.shape.as_list()[1:], file_sha256(path)
    return FeatureExtractor(features, name, shape, resize, sha256, in_graph=True)


def _inception_extractor(path, name, resize):
    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(path.read_bytes())
    # Protocol buffers are a dependency of TensorFlow, and so is their error.
    except Exception as error:
        raise UserError(f"extractor: {path} holds no frozen TensorFlow graph") from error
    missing = {INCEPTION_INPUT, INCEPTION_FEATURES} - {node.name for node in graph_def.node}
    if missing:
        raise UserError(
            f"extractor: {path} is not the Inception graph of 2015: it has no node "
            f"{' and no node '.join(sorted(missing))}"
        )

    graph_def = _leading_to_features(graph_def)

    def imported(images):
        (features,) = tf.graph_util.import_graph_def(
            graph_def,
            input_map={f"{INCEPTION_INPUT}:0": images},
            return_elements=[f"{INCEPTION_FEATURES}:0"],
            name="",
        )
        return tf.squeeze(features, axis=[1, 2]) if features.shape.rank == 4 else features

    spec = tf.TensorSpec((None, None, None, 3), tf.float32)
    try:
        graph = tf.compat.v1.wrap_function(imported, [spec])
    except (ValueError, tf.errors.OpError) as error:
        raise UserError(f"extractor: cannot import {path}: {_first_line(error)}") from error
    return FeatureExtractor(
        lambda images: graph(tf.cast(images, tf.float32)),
        name,
        (None, None, 3),
        resize,
        file_sha256(path),
        in_graph=True,
        own_resize="inside the graph",
    )


def _leading_to_features(graph_def):
    """Returns the part of the graph between input and features, for any batch.

    The published graph is made for one image: what follows the features would insist on it, and so
    would the shapes that are noted at its nodes.
    """
    nodes = {node.name: node for node in graph_def.node}
    part = tf.compat.v1.GraphDef(versions=graph_def.versions)
    wanted, found = [INCEPTION_FEATURES], {INCEPTION_INPUT}
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            node = part.node.add()
            node.CopyFrom(nodes[name])
            node.attr.pop("_output_shapes", None)
            wanted += [text.lstrip("^").partition(":")[0] for text in node.input]
    return part


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]
