"""Reads an export that somebody else may have written.

A SavedModel is a graph that TensorFlow runs, and some of TensorFlow's operations read and write
files. Before one is loaded, every operation in it is looked up in the list of those that the
graphs of `export_model` are made of: arithmetic, loops and the reading of its own weights.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from pcvae.checks import check_integer
from pcvae.distributions.noise import make_seed
from pcvae.errors import UserError
from pcvae.export.operations import FILE_OPERATIONS, OBJECTS, OPERATIONS
from pcvae.export.saved_model import RECORD
from pcvae.files import check_plain_file, plain_path
from pcvae.models.conditions import make_condition
from pcvae.models.inputs import checked_temperatures
from pcvae.models.recorded import read_record
from pcvae.tracing import functions_of

_MAX_GRAPH_BYTES = 2**31  # no message of protocol buffers is larger


class ExportedModel:
    """An export with the method `sample` of a model."""

    def __init__(self, loaded: Any, record: dict[str, Any]) -> None:
        """Keeps what `tf.saved_model.load` gave, and the record of the export."""
        self._signatures = loaded.signatures
        self.record = record
        self.num_levels = len(record["levels"])
        self.image_shape = tuple(record["image_shape"])
        self.batch_size = record["batch_size"]  # None for any
        self.condition = _condition(record["condition"], self.image_shape)
        self.stage_ends = tuple(record.get("stage_ends", [self.num_levels]))
        self._check_signatures()

    def _check_signatures(self):
        """Raises ValueError unless the graph takes and returns what the record says."""
        given = {
            "first_sample": ((), "int64"),
            "num_samples": ((), "int32"),
            "temperature": ((self.num_levels,), "float32"),
            "seed": ((2,), "int32"),
        }
        images = (self.batch_size, *self.image_shape)
        encoded = {"images": (images, "uint8"), "seed": ((2,), "int32")}
        if self.condition is not None:
            spec = self.condition.spec
            condition = (self.batch_size, *spec.shape[1:]), spec.dtype.name
            given["condition"] = encoded["condition"] = condition
        expected = {"sample_range": given, "sample_means": given, "encode": encoded}
        for name, specs in expected.items():
            if _specs(self._signatures[name].structured_input_signature[1]) != specs:
                raise ValueError(f"{RECORD} says of {name} what the graph does not")
        ends = (0, *self.stage_ends)
        if ends[-1] != self.num_levels or (np.diff(ends) < 1).any():
            raise ValueError(f"{RECORD}: stages of {ends} levels")

    def sample(
        self,
        num_samples: int,
        temperature: float | Sequence[float] | np.ndarray = 1.0,
        seed: int = 0,
        first_sample: int = 0,
        pixels: str = "sample",
        condition: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draws images in one batch.

        Args:
            num_samples: number of images; that of the export, if it has one.
            temperature: a number, or one per level.
            seed: integer from 0 to 2^32 - 1.
            first_sample: index of the first image.
            pixels: "sample", or "mean" for the mean of the output distribution.
            condition: of a conditional model, one for each image.

        Returns:
            uint8 [num_samples, height, width, channels].

        Raises:
            UserError: an argument is out of range, or the graph fails.
        """
        draw = self._signatures["sample_means" if pixels == "mean" else "sample_range"]
        temperature = checked_temperatures(temperature, self.num_levels)
        try:
            images = draw(
                first_sample=tf.constant(first_sample, tf.int64),
                num_samples=tf.constant(num_samples, tf.int32),
                temperature=tf.constant(temperature),
                seed=make_seed(seed),
                **({} if condition is None else {"condition": tf.constant(condition)}),
            )["images"].numpy()
        except (tf.errors.OpError, AssertionError, KeyError) as error:
            raise UserError(f"the export cannot draw images: {_first_line(error)}") from error
        if images.shape != (num_samples, *self.image_shape) or images.dtype != np.uint8:
            raise UserError(f"the export drew {images.dtype} {list(images.shape)}, no such images")
        return images


def load_export(directory: str | os.PathLike) -> ExportedModel:
    """Loads an export of `export_model`, if it holds nothing else.

    Raises:
        UserError: the directory holds no export, or operations that no export needs.
    """
    directory = Path(directory)
    record = _read_record(directory / RECORD)
    _check_graph(directory / "saved_model.pb")
    try:
        with plain_path(directory) as path:
            return ExportedModel(tf.saved_model.load(path), record)
    # Damaged files make TensorFlow raise nearly anything.
    except Exception as error:
        raise UserError(f"{directory}: no export that can be used: {_first_line(error)}") from error


def _read_record(path):
    try:
        record = read_record(path)
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
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise UserError(
            f"{path}: expected the record of pcvae-export, got: {_first_line(error)}"
        ) from error


def _condition(fields, image_shape):
    """Returns the `Condition` that a record describes, or None."""
    if fields is None:
        return None
    shape = fields["shape"] if fields["kind"] != "label" else None
    return make_condition(fields["kind"], tuple(image_shape), shape, fields["num_classes"])


def _check_graph(path):
    """Raises UserError unless a SavedModel holds known operations and objects alone."""
    saved_model = saved_model_pb2.SavedModel()
    try:
        check_plain_file(path, _MAX_GRAPH_BYTES)
        saved_model.ParseFromString(path.read_bytes())
    except (OSError, ValueError, DecodeError) as error:
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
    names = {node.op for node in graph.graph_def.node}
    with_files, referred_to = set(), set(graph.object_graph_def.concrete_functions)
    for function in functions_of(graph.graph_def):
        name = function.signature.name
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


def _specs(signature):
    """Returns {name: (shape, name of the type)} of the arguments of a signature."""
    return {name: (tuple(spec.shape), spec.dtype.name) for name, spec in signature.items()}


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
