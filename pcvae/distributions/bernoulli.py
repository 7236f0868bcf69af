"""The Bernoulli distribution of binary pixels."""

import tensorflow as tf
import tensorflow_probability as tfp


def bernoulli(logits):
    """Returns independent Bernoulli distributions over {0, 1}, batch shape that of the logits."""
    return tfp.distributions.Bernoulli(logits=tf.cast(logits, tf.float32))
