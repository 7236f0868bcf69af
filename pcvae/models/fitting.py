"""Keras' own training of a hierarchical VAE: the steps of `fit` and `evaluate`."""

import keras
import numpy as np
import tensorflow as tf

from pcvae import units
from pcvae.distributions.noise import SeededNoise, fold_in, make_seed
from pcvae.errors import UserError


def metrics_in_bits_per_dim():
    """Returns {name: metric} of what `Fitting` reports; the model keeps them."""
    return {
        name: keras.metrics.Mean(name=f"{name}_bits_per_dim")
        for name in ("negative_elbo", "nll", "rate")
    }


class Fitting:
    """The negative ELBO in nats per dimension as the loss of `fit`; mixed into a model.

    A batch is uint8 [batch, height, width, channels], a tuple (images, conditions) for a
    conditional model, or a dict as `pcvae.data.training_batches` gives it, with ``images`` and, for
    a conditional model, ``condition``.
    """

    def train_step(self, batch):
        """One step of `fit`: minimises the negative ELBO in nats per dimension."""
        images, given = self._parts_of(batch)
        step = tf.cast(self.optimizer.iterations, tf.int32)
        with tf.GradientTape() as tape:
            output = self(images, noise=_noise_of_step(step, images), **given)
            negative_elbo = self._negative_elbo(output)
            loss = self.optimizer.scale_loss(
                tf.reduce_mean(units.nats_per_dim(negative_elbo, self.image_shape))
            )
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return self._logs(output, negative_elbo)

    def test_step(self, batch):
        """One step of `evaluate`."""
        images, given = self._parts_of(batch)
        output = self(images, **given)
        return self._logs(output, self._negative_elbo(output))

    @property
    def metrics(self):
        """The metrics of `fit` and `evaluate`, means over images, reset at each epoch."""
        return list(self._metrics_in_bits_per_dim.values())

    def check_batch(self, images):
        """Returns images, if their type and shape are the model's, as far as they are known.

        Args:
            images: an array or a tensor, of a graph that is being traced too.

        Raises:
            UserError: they are not uint8 [batch, height, width, channels].
        """
        if not hasattr(images, "dtype"):
            images = np.asarray(images)
        dtype = getattr(images.dtype, "name", images.dtype)
        known, wanted = tf.TensorShape(images.shape), (None, *self.image_shape)
        if dtype != "uint8" or not known.is_compatible_with(wanted):
            raise UserError(
                f"images: expected uint8 [batch, {', '.join(map(str, self.image_shape))}] in "
                f"0..255, got {dtype} {list(images.shape)}"
            )
        return images

    def _parts_of(self, batch):
        """Returns the images of a batch, checked, and {"condition": ...} if it is to be given."""
        images, condition, _ = keras.utils.unpack_x_y_sample_weight(batch)
        if isinstance(images, dict):
            if "images" not in images:
                raise UserError(f"expected a batch with 'images', got {', '.join(images) or '{}'}")
            images, condition = images["images"], images.get("condition", condition)
        given = self.condition is not None and condition is not None
        return self.check_batch(images), {"condition": condition} if given else {}

    def _negative_elbo(self, output):
        """Returns the negative ELBO of each image, [batch] nats."""
        if output.nll is None:
            raise UserError(
                f"fit needs a head with a likelihood, got {type(self.head).__name__}: choose "
                "'logistic_mixture', 'gaussian' or 'bernoulli'"
            )
        return output.nll + units.sum_per_example(output.rate_per_level)

    def _logs(self, output, negative_elbo):
        # By the image: a mean over means would give the images of a small last batch more weight.
        values = {
            "negative_elbo": negative_elbo,
            "nll": output.nll,
            "rate": units.sum_per_example(output.rate_per_level),
        }
        for name, nats in values.items():
            bits_per_dim = units.bits_per_dim(nats, self.image_shape)
            self._metrics_in_bits_per_dim[name].update_state(bits_per_dim)
        return {metric.name: metric.result() for metric in self.metrics}


def _noise_of_step(step, images):
    """Noise of a step of `fit`: keyed by the place of an image in the global batch."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    first_example = tf.cast(replica, tf.int64) * tf.cast(tf.shape(images)[0], tf.int64)
    return SeededNoise(fold_in(make_seed(0), step), first_example)
