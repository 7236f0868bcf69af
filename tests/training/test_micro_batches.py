"""A batch in parts, one after the other, is the batch."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae import training
from pcvae.errors import UserError
from pcvae.training.micro_batches import mean_over_parts
from tests.op_by_op import op_by_op
from tests.training import few_steps


@pytest.mark.slow
def test_a_step_is_that_of_with_one_batch():
    strategy, kinds = training.make_strategy("one_device"), ("elbo", "constrained")
    with op_by_op():
        expected = few_steps.train_each(strategy, kinds)
    few_steps.check_equal(few_steps.train_each(strategy, kinds, micro_batches=3), expected)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_the_mean_over_parts_is_that_of_the_whole(count):
    """Of each part the function is told where it starts."""
    values = tf.constant(np.random.default_rng(0).normal(size=(6, 2)), tf.float32)

    def function(start, part):
        places = tf.cast(start, tf.float32) + tf.range(part["values"].shape[0], dtype=tf.float32)
        weighted = part["values"] * places[:, None]
        return [tf.reduce_mean(weighted, axis=0)], {"mean": tf.reduce_mean(part["values"])}

    run = tf.function(lambda: mean_over_parts(function, {"values": values}, count), autograph=False)
    (weighted,), others = run()
    places = np.arange(6.0)[:, None]
    np.testing.assert_allclose(weighted, np.mean(values * places, axis=0), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(others["mean"], np.mean(values), rtol=1e-5)


def test_parts_that_cannot_be_equal_are_one_line():
    with pytest.raises(UserError, match="micro_batches=4: expected a divisor of the 6 images"):
        mean_over_parts(lambda start, part: part, {"images": tf.zeros((6, 1))}, 4)
    with pytest.raises(UserError, match="micro_batches: expected an integer of at least 1, got 0"):
        training.Trainer(None, None, None, None, micro_batches=0)
