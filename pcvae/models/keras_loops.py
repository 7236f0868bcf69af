"""Keras' interface to a hierarchical VAE: compile, fit, evaluate, predict, export."""

import inspect
import types
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf

from pcvae.checks import check_choice
from pcvae.errors import UserError
from pcvae.models import keras_data, keras_fit
from pcvae.models.recorded import PRECISIONS
from pcvae.outputs import VDVAEOutput
from pcvae.tracing import graphs_as_traced


class KerasLoops(keras.Model):
    """What a `HierarchicalModel` is to Keras; see `keras_fit` for what its loops compute.

    `fit` and `evaluate` report ``loss``, the negative ELBO in nats per dimension, and the negative
    ELBO and its parts in bits per dimension; under ``sample_weight`` as Keras weights. Data are
    images, with a condition as ``y``; see `keras_data`.

    Under the policy ``mixed_bfloat16`` convolutions are computed in bfloat16; the residual streams,
    Gaussians, rates and the head in float32, as which the weights are held.

    Args:
        **kwargs: ``name`` and ``dtype`` of a Keras model.

    Raises:
        UserError: the dtype is none of `PRECISIONS`.
    """

    def __init__(self, **kwargs: Any) -> None:
        dtype = kwargs.get("dtype")
        if not (dtype is None or isinstance(dtype, keras.DTypePolicy)):
            check_choice("dtype", getattr(dtype, "name", dtype), PRECISIONS)
        super().__init__(autocast=False, **kwargs)  # rates that come with images stay exact
        # The namespace hides it from Keras, which would save it.
        self._hidden = types.SimpleNamespace(loops=keras_fit.LoopState())

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: None = None,
        loss_weights: None = None,
        metrics: None = None,
        weighted_metrics: None = None,
        **options: Any,
    ) -> None:
        """Takes the optimizer of `fit`.

        Args:
            optimizer: one of Keras, or its name.
            loss, loss_weights, metrics, weighted_metrics: None: the model has its own.
            **options: ``run_eagerly``, ``steps_per_execution``, ``jit_compile`` and
                ``auto_scale_loss``, as Keras has them.

        Raises:
            UserError: a loss or metrics are given.
        """
        given = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        for name, value in given.items():
            if value:
                raise UserError(
                    f"compile: expected no {name}, got {value!r}: fit minimises the negative ELBO "
                    "and reports its parts; for other objectives see pcvae.training.Trainer"
                )
        super().compile(optimizer=optimizer, **options)
        self._hidden.loops.forget_graphs()
        self._hidden.loops.in_update.reset()

    def compile_from_config(self, config: dict) -> None:
        """Compiles a model as the one that was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Trains by Keras' loop, with its arguments: see ``keras.Model.fit``.

        Raises:
            UserError: the data are not what the model takes.
        """
        given = _arguments(keras.Model.fit, self, args, kwargs)
        if given.get("class_weight") and given.get("y") is None and hasattr(given["x"], "shape"):
            raise UserError("class_weight: expected the classes of the images as y, got none")
        given |= _checked(self, given)
        if given.get("validation_data") is not None:
            names = ("x", "y", keras_data.WEIGHTS)
            parts = keras.utils.unpack_x_y_sample_weight(given["validation_data"])
            validation = dict(zip(names, parts, strict=True))
            validation |= _checked(self, validation)
            if validation["x"] is not parts[0]:
                given["validation_data"] = (validation["x"],)
        _say_direction(given.get("callbacks"), [metric.name for metric in self.metrics])
        return super().fit(**given)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the means over images, by Keras' loop: see ``keras.Model.evaluate``.

        Image i draws the noise of (seed 0, i).

        Raises:
            UserError: the data are not what the model takes.
        """
        given = _arguments(keras.Model.evaluate, self, args, kwargs)
        checked = _checked(self, given)
        weights = given.get(keras_data.WEIGHTS)
        if weights is not None and not np.any(weights):
            raise UserError("sample_weight: expected some above 0, got zeros: there is no mean")
        return super().evaluate(**given | checked)

    def predict(self, *args: Any, **kwargs: Any) -> VDVAEOutput:
        """Returns the output for images as arrays, by Keras' loop: see ``keras.Model.predict``.

        Image i draws the noise of (seed 0, i). Images and conditions are given together, as
        ``(images, condition)``.

        Raises:
            UserError: the data are not what the model takes.
        """
        given = _arguments(keras.Model.predict, self, args, kwargs)
        keras_data.check(self, given.get("x"))
        self._hidden.loops.predicted.reset()
        return keras_fit.predicted_output(super().predict(**given))

    def predict_on_batch(self, x: Any) -> VDVAEOutput:
        """Returns the output for one batch as arrays; see `predict`."""
        keras_data.check(self, x)
        self._hidden.loops.predicted.reset()
        return keras_fit.predicted_output(super().predict_on_batch(x))

    def make_train_function(self, force: bool = False) -> None:
        """Makes what `fit` calls for each execution; its graph runs as it was traced."""
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        execute = self.train_function

        def run_as_traced(iterator):
            with graphs_as_traced():
                return execute(iterator)

        self.train_function = run_as_traced

    def train_step(self, data: Any) -> dict:
        """One step of `fit`: minimises the negative ELBO in nats per dimension."""
        return keras_fit.train_step(self, data, self._hidden.loops)

    def test_step(self, data: Any) -> dict:
        """One step of `evaluate`."""
        return keras_fit.test_step(self, data, self._hidden.loops)

    def predict_step(self, data: Any) -> dict:
        """One step of `predict`: the parts of the output that are there, by their names."""
        return keras_fit.predict_step(self, data, self._hidden.loops)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras would average the batches of the replicas here, which fails for a short one, to see
        # shapes. A model has its weights from the start; only the optimizer's are missing.
        if self.optimizer is not None and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self) -> list:
        """The metrics of `fit` and `evaluate`, means over images, reset at each epoch.

        As with every model of Keras there are none before `compile`: a model that is part of
        another one reports nothing of its own.
        """
        return list(self._hidden.loops.metrics.values()) if self.compiled else []

    def reset_metrics(self) -> None:
        """Sets the metrics to nothing seen; what is evaluated next is image 0."""
        super().reset_metrics()
        self._hidden.loops.evaluated.reset()

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises UserError: `pcvae.export` writes a SavedModel with all that the model can do."""
        raise UserError(
            f"export: call pcvae.export.export_model(model, {str(filepath)!r}): a SavedModel with "
            "sample, encode, decode, reconstruct and rates"
        )


def _arguments(function: Callable, model: Any, args: tuple, kwargs: dict) -> dict:
    """Returns the arguments of a call by name."""
    bound = inspect.signature(function).bind(model, *args, **kwargs).arguments
    del bound["self"]
    others = bound.pop("kwargs", {})
    return {**bound, **others}


def _checked(model: Any, given: dict) -> dict:
    """Checks the data among the arguments of a loop; returns x and the weights to be given."""
    x, y, weights = (given.get(name) for name in ("x", "y", keras_data.WEIGHTS))
    keras_data.check(model, x, y)
    if weights is None or isinstance(x, tf.data.Dataset):
        return {}
    keras_data.check_weights(x, weights)
    if y is not None:
        return {}
    return {"x": keras_data.with_weights(x, weights), keras_data.WEIGHTS: None}


def _say_direction(callbacks: Any, names: Iterable[str]) -> None:
    """Says to callbacks that monitor a metric by its name that less of it is better.

    Keras knows this of ``loss`` and of its own metrics alone, and would refuse.
    """
    callbacks = getattr(callbacks, "callbacks", callbacks) or ()
    for callback in callbacks if isinstance(callbacks, list | tuple) else (callbacks,):
        monitored = str(getattr(callback, "monitor", "")).removeprefix("val_")
        if getattr(callback, "mode", None) == "auto" and monitored in names:
            callback.mode = "min"
