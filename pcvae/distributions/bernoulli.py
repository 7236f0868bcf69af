"""The Bernoulli distribution of binary pixels."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp


def bernoulli(logits: tf.Tensor) -> Any:
    """Returns independent Bernoulli distributions over {0, 1}, batch shape that of the logits."""
    return tfp.distributions.Bernoulli(logits=tf.cast(logits, tf.float32))
