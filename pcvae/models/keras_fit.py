"""Keras' own training of a hierarchical VAE: the steps of `fit` and `evaluate`.

The loss is the negative ELBO in nats per dimension. A batch is uint8 [batch, height, width,
channels], a tuple (images, conditions) for a conditional model, or a dict as
`pcvae.data.training_batches` makes it, with ``images`` and, for a conditional model, ``condition``.
"""

from typing import Any

import keras
import tensorflow as tf

from pcvae import units
from pcvae.distributions.noise import SeededNoise, fold_in, make_seed
from pcvae.errors import UserError
from pcvae.models.inputs import checked_batch


def metrics_in_bits_per_dim() -> dict[str, keras.metrics.Mean]:
    """Returns {name: metric} of what `fit` and `evaluate` report; the model keeps them."""
    return {
        name: keras.metrics.Mean(name=f"{name}_bits_per_dim")
        for name in ("negative_elbo", "nll", "rate")
    }


def train_step(model: keras.Model, batch: Any, metrics: dict) -> dict:
    """One step of `fit`: minimises the negative ELBO in nats per dimension."""
    images, given = _parts(model, batch)
    step = tf.cast(model.optimizer.iterations, tf.int32)
    with tf.GradientTape() as tape:
        output = model(images, noise=_noise_of_step(step, images), **given)
        negative_elbo = _negative_elbo(model, output)
        loss = model.optimizer.scale_loss(
            tf.reduce_mean(units.nats_per_dim(negative_elbo, model.image_shape))
        )
    gradients = tape.gradient(loss, model.trainable_variables)
    model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return _logs(model, output, negative_elbo, metrics)


def test_step(model: keras.Model, batch: Any, metrics: dict) -> dict:
    """One step of `evaluate`."""
    images, given = _parts(model, batch)
    output = model(images, **given)
    return _logs(model, output, _negative_elbo(model, output), metrics)


def _parts(model, batch):
    """Returns the images of a batch, checked, and {"condition": ...} if it is to be given."""
    images, condition, _ = keras.utils.unpack_x_y_sample_weight(batch)
    if isinstance(images, dict):
        if "images" not in images:
            raise UserError(f"expected a batch with 'images', got {', '.join(images) or '{}'}")
        images, condition = images["images"], images.get("condition", condition)
    given = model.condition is not None and condition is not None
    return checked_batch(images, model.image_shape), {"condition": condition} if given else {}


def _negative_elbo(model, output):
    """Returns the negative ELBO of each image, [batch] nats."""
    if output.nll is None:
        raise UserError(
            f"fit needs a head with a likelihood, got {type(model.head).__name__}: choose "
            "'logistic_mixture', 'gaussian' or 'bernoulli'"
        )
    return output.nll + units.sum_per_example(output.rate_per_level)


def _logs(model, output, negative_elbo, metrics):
    # By the image: a mean over means would give the images of a small last batch more weight.
    values = {
        "negative_elbo": negative_elbo,
        "nll": output.nll,
        "rate": units.sum_per_example(output.rate_per_level),
    }
    for name, nats in values.items():
        metrics[name].update_state(units.bits_per_dim(nats, model.image_shape))
    return {metric.name: metric.result() for metric in metrics.values()}


def _noise_of_step(step, images):
    """Noise of a step of `fit`: keyed by the place of an image in the global batch."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    first_example = tf.cast(replica, tf.int64) * tf.cast(tf.shape(images)[0], tf.int64)
    return SeededNoise(fold_in(make_seed(0), step), first_example)
