"""Keras' own training of a hierarchical VAE: the steps of `fit`, `evaluate` and `predict`.

The loss is the negative ELBO in nats per dimension, the mean over the global batch. For batches
see `keras_data`. The noise of an image is keyed by its place in all the data (`evaluate`,
`predict`) or in the batch of an update (`fit`), so that neither the size of batches nor the number
of replicas, of micro-batches or of steps per execution changes what comes out.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from pcvae import units
from pcvae.distributions.noise import SeededNoise, fold_in, make_seed
from pcvae.errors import UserError
from pcvae.models import keras_data
from pcvae.models.places import Places
from pcvae.outputs import VDVAEOutput
from pcvae.variables import assign_local, without_assigning

LOSS = "loss"
PARTS = ("negative_elbo", "nll", "rate")


class LoopState:
    """What Keras' loops keep of a model beside its weights and its optimizer."""

    def __init__(self) -> None:
        self.metrics = {LOSS: keras.metrics.Mean(name=LOSS)} | {
            name: keras.metrics.Mean(name=f"{name}_bits_per_dim") for name in PARTS
        }
        self.evaluated, self.predicted, self.in_update = Places(), Places(), Places()
        self._graphs: dict = {}

    def forget_graphs(self) -> None:
        """Drops what was traced: for another optimizer, or other weights that are frozen."""
        self._graphs.clear()

    def for_any_batch(self, name: str, function: Callable, batch: tuple, shared: tuple = ()) -> Any:
        """Calls a function in a graph that is traced once for batches of all sizes.

        Keras traces its own functions anew for a short last batch; what takes the time is here.

        Args:
            name: of the function; under one name it is always the same.
            function: of the tensors of the batch and the shared ones.
            batch: tensors [batch, ...].
            shared: tensors of known shapes.
        """
        specs = [tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in batch]
        specs += [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in shared]
        key = (name, *specs)
        if key not in self._graphs:
            self._graphs[key] = tf.function(function, input_signature=specs, autograph=False)
        return self._graphs[key](*batch, *shared)


def train_step(model: Any, data: Any, state: LoopState) -> dict:
    """One step of `fit`: minimises the negative ELBO in nats per dimension."""
    batch = keras_data.batch_of(model, data)
    optimizer, variables = model.optimizer, model.trainable_variables
    if not variables:
        raise UserError("fit: expected weights to train, but all are frozen")
    step, statistics = tf.cast(optimizer.iterations, tf.int32), model.statistics
    first, total = state.in_update.take(batch.num_images, _begins_update(optimizer))

    def gradients_of(images, weights, *rest):
        *condition, seed, first, total = rest
        with tf.GradientTape() as tape:
            call = functools.partial(_terms, model, images, condition, SeededNoise(seed, first))
            call = functools.partial(call, training=True)
            terms, moved = without_assigning(statistics, call)
            loss = tf.reduce_sum(weights * terms[LOSS]) / tf.cast(total, tf.float32)
            loss = optimizer.scale_loss(loss)
        return tape.gradient(loss, variables), terms, moved

    shared = (fold_in(make_seed(0), step), first, total)
    run = state.for_any_batch if not model.run_eagerly else _at_once
    gradients, terms, moved = run("fit", gradients_of, batch.tensors, shared)
    optimizer.apply_gradients(zip(gradients, variables, strict=True))
    _move(statistics, moved, tf.cast(batch.num_images, tf.int64) / total)
    return _logs(batch.own(terms), batch.weights, state)


def test_step(model: Any, data: Any, state: LoopState) -> dict:
    """One step of `evaluate`."""
    batch = keras_data.batch_of(model, data)
    first, _ = state.evaluated.take(batch.num_images)

    def terms_of(images, weights, *rest):
        *condition, first = rest
        return _terms(model, images, condition, SeededNoise(make_seed(0), first))

    run = state.for_any_batch if not model.run_eagerly else _at_once
    terms = run("evaluate", terms_of, batch.tensors, (first,))
    return _logs(batch.own(terms), batch.weights, state)


def predict_step(model: Any, data: Any, state: LoopState) -> dict:
    """One step of `predict`: {field: value} of a `VDVAEOutput`, without what is empty."""
    batch = keras_data.batch_of(model, data)
    first, _ = state.predicted.take(batch.num_images)

    def output_of(images, weights, *rest):
        *condition, first = rest
        output = _output(model, images, condition, SeededNoise(make_seed(0), first))
        # Keras joins batches of tensors alone.
        return {name: value for name, value in output._asdict().items() if _is_there(value)}

    run = state.for_any_batch if not model.run_eagerly else _at_once
    return batch.own(run("predict", output_of, batch.tensors, (first,)))


def predicted_output(fields: dict) -> VDVAEOutput:
    """Returns what the batches of `predict_step` have given as a `VDVAEOutput`."""
    return VDVAEOutput(**{"latents": (), "nll": None, **fields})


def _begins_update(optimizer):
    """Says whether a batch is the first one of an update: micro-batches go on where it ended."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    micro_batches = optimizer.gradient_accumulation_steps
    if not micro_batches:
        return True
    if tf.distribute.get_replica_context().num_replicas_in_sync > 1:
        raise UserError(
            f"fit: Keras' gradient_accumulation_steps={micro_batches} works on one device alone, "
            "not under a strategy of several"
        )
    # The iterations that Keras shows are whole updates; the first variable counts batches.
    return optimizer.variables[0] % micro_batches == 0


def _is_there(value):
    return value is not None and not (isinstance(value, tuple | dict) and not value)


def _at_once(name, function, batch, shared=()):
    return function(*batch, *shared)


def _move(statistics, moved, share):
    """Sets statistics to the mean over the images of what the replicas have made of them.

    Args:
        statistics: {name: variable}.
        moved: {name: new value} of this replica.
        share: [], which part of the images of the global batch this replica has.
    """
    context = tf.distribute.get_replica_context()
    if moved and context.num_replicas_in_sync > 1:
        parts = {name: value * tf.cast(share, value.dtype) for name, value in moved.items()}
        moved = context.all_reduce(tf.distribute.ReduceOp.SUM, parts)
    for name, value in moved.items():
        assign_local(statistics[name], value)


def _output(model, images, condition, noise, training=False):
    given = {"condition": condition[0]} if condition else {}
    return model(images, noise=noise, training=training, **given)


def _terms(model, images, condition, noise, training=False):
    """Returns the loss of each image, [batch] nats per dimension, and its parts in bits per dim."""
    output = _output(model, images, condition, noise, training)
    if output.nll is None:
        raise UserError(
            f"fit needs a head with a likelihood, got {type(model.head).__name__}: choose "
            "'logistic_mixture', 'gaussian', 'gaussian_floor' or 'bernoulli'"
        )
    rate = units.sum_per_example(output.rate_per_level)
    nats = {"negative_elbo": output.nll + rate, "nll": output.nll, "rate": rate}
    parts = {name: units.bits_per_dim(value, model.image_shape) for name, value in nats.items()}
    loss = output.reconstruction_nats + rate
    return {LOSS: units.nats_per_dim(loss, model.image_shape), **parts}


def _logs(terms, weights, state):
    """Adds a batch to the metrics. By the image: a small last batch has no more weight.

    As Keras has it: the loss is the sum of what is weighted by the number of images, the other
    quantities are weighted means.
    """
    state.metrics[LOSS].update_state(terms[LOSS] * weights)
    for name in PARTS:
        state.metrics[name].update_state(terms[name], sample_weight=weights)
    return {metric.name: metric.result() for metric in state.metrics.values()}
