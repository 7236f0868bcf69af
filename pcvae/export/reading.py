"""Reads an export that somebody else may have written.

A SavedModel is a graph that TensorFlow runs, and some of TensorFlow's operations read and write
files. Before one is loaded, every operation in it is looked up in the list of those that the
graphs of `export_model` are made of: arithmetic, loops and the reading of its own weights.
"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from pcvae.checks import check_integer
from pcvae.distributions.noise import make_seed
from pcvae.errors import UserError
from pcvae.export.operations import FILE_OPERATIONS, OBJECTS, OPERATIONS
from pcvae.export.saved_model import RECORD
from pcvae.models.condition import Condition

_MAX_RECORD_BYTES = 2**20


class ExportedModel:
    """An export with the method `sample` of a model."""

    def __init__(self, loaded, record):
        """Keeps what `tf.saved_model.load` gave, and the record of the export."""
        self._loaded = loaded
        self.record = record
        self.num_levels = len(record["levels"])
        self.image_shape = tuple(record["image_shape"])
        self.batch_size = record["batch_size"]  # None for any
        self.condition = _condition(record["condition"], self.image_shape)

    def sample(
        self, num_samples, temperature=1.0, seed=0, first_sample=0, pixels="sample", condition=None
    ):
        """Draws images in one batch.

        Args:
            num_samples: number of images; that of the export, if it has one.
            temperature: a number, or one a level.
            seed: integer from 0 to 2^32 - 1.
            first_sample: index of the first image.
            pixels: "sample", or "mean" for the mean of the output distribution.
            condition: of a conditional model, one for each image.

        Returns:
            uint8 [num_samples, height, width, channels].

        Raises:
            UserError: the temperature has another length.
        """
        values = np.asarray(temperature, np.float32)
        if values.ndim and values.shape != (self.num_levels,):
            raise UserError(
                f"temperature: expected a number or {self.num_levels} of them, one a level; got "
                f"{len(values)}"
            )
        draw = self._loaded.sample_means if pixels == "mean" else self._loaded.sample_range
        return draw(
            tf.constant(first_sample, tf.int64),
            tf.constant(num_samples, tf.int32),
            tf.constant(np.broadcast_to(values, (self.num_levels,))),
            make_seed(seed),
            *([] if condition is None else [tf.constant(condition)]),
        ).numpy()


def load_export(directory):
    """Loads an export of `export_model`, if it holds nothing else.

    Raises:
        UserError: the directory holds no export, or operations that no export needs.
    """
    directory = Path(directory)
    record = _read_record(directory / RECORD)
    _check_graph(directory / "saved_model.pb")
    try:
        return ExportedModel(tf.saved_model.load(str(directory)), record)
    # Damaged files make TensorFlow raise nearly anything.
    except Exception as error:
        raise UserError(f"{directory}: TensorFlow cannot load it: {_first_line(error)}") from error


def _read_record(path):
    try:
        if path.stat().st_size > _MAX_RECORD_BYTES:
            raise ValueError("it is too large")
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format_version"] != 1:
            raise ValueError(f"format_version {record['format_version']}, expected 1")
        _condition(record["condition"], record["image_shape"])
        if record["batch_size"] is not None:
            check_integer("batch_size", record["batch_size"], 1)
        shape = [int(side) for side in record["image_shape"]]
        return {**record, "image_shape": shape, "levels": list(record["levels"])}
    except FileNotFoundError as error:
        raise UserError(
            f"{path.parent}: expected a directory of pcvae-export with {path.name}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path}: expected the record of pcvae-export, got: {_first_line(error)}"
        ) from error


def _condition(fields, image_shape):
    """Returns the `Condition` that a record describes, or None."""
    if fields is None:
        return None
    shape = fields["shape"] if fields["kind"] != "label" else None
    return Condition.checked(fields["kind"], shape, fields["num_classes"], "", tuple(image_shape))


def _check_graph(path):
    """Raises UserError unless a SavedModel holds known operations and objects alone."""
    saved_model = saved_model_pb2.SavedModel()
    try:
        saved_model.ParseFromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise UserError(f"{path}: expected a SavedModel, got: {_first_line(error)}") from error
    # TensorFlow would take a file of another form first, and run the graph of another version.
    forms = [other.name for other in path.parent.glob("saved_model.*") if other != path]
    graphs = list(saved_model.meta_graphs)
    if forms or len(graphs) != 1 or not graphs[0].HasField("object_graph_def"):
        raise UserError(f"{path}: expected the one graph of an export of pcvae, got something else")
    unknown = sorted(_unknown(graphs[0]))
    if unknown:
        raise UserError(
            f"{path}: it holds what no export of pcvae does and may do anything, so that it is not "
            f"loaded: {', '.join(unknown[:8])}"
        )


def _unknown(graph):
    """Returns the names of operations and objects in a graph that no export has."""
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    names = {node.op for node in graph.graph_def.node}
    with_files, referred_to = set(), set(graph.object_graph_def.concrete_functions)
    for name, function in functions.items():
        operations = {node.op for node in function.node_def}
        if operations & FILE_OPERATIONS:
            with_files.add(name)
        names |= operations
        referred_to |= {
            called.name
            for node in function.node_def
            for value in node.attr.values()
            for called in (value.func, *value.list.func)
        }
    objects = set()
    for node in graph.object_graph_def.nodes:
        kind = node.WhichOneof("kind")
        objects.add((node.user_object.identifier if kind == "user_object" else kind) or "nothing")
        if node.saveable_objects:
            objects.add("saveable_objects")
    known = OPERATIONS | FILE_OPERATIONS
    return (names - known) | (objects - OBJECTS) | (with_files & referred_to)


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
