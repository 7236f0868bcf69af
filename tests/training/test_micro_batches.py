"""A batch in parts, one after the other, is the batch."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from pcvae import training
from pcvae.distributions.noise import SeededNoise, make_seed
from pcvae.errors import UserError
from pcvae.training.micro_batches import mean_over_parts
from tests.op_by_op import op_by_op
from tests.training import few_steps


@pytest.mark.slow
def test_a_step_is_that_of_with_one_batch():
    strategy, kinds = training.make_strategy("one_device"), ("elbo", "constrained")
    with op_by_op():
        expected = few_steps.train_each(strategy, kinds)
    state = few_steps.train_each(strategy, kinds, micro_batches=3)
    few_steps.check_equal(state, expected)
    for group in ("elbo/model/", "elbo/optimizer/m/", "elbo/optimizer/v/", "elbo/ema/"):
        of_group = [name for name in expected if name.startswith(group)]
        differences = [state[name] - expected[name] for name in of_group]
        norm = few_steps.norm(expected[name] for name in of_group)
        assert few_steps.norm(differences) < 1e-6 * norm, group


@pytest.mark.parametrize("count", [1, 4, 32])
def test_parts_have_the_gradient_of_the_whole_and_its_noise(count):
    """In float64, where rounding leaves no room for anything else."""
    generator = np.random.default_rng(0)
    values, weights = (tf.constant(generator.normal(size=size)) for size in ((32, 3), (3, 2)))

    def function(start, part):
        # Uniform: in float32 the last bit of a normal depends on how many are made at once.
        noise = SeededNoise(make_seed(1), start).uniform(0, (part["values"].shape[0], 2))
        with tf.GradientTape() as tape:
            tape.watch(weights)
            outputs = tf.tanh(part["values"] @ weights + tf.cast(noise, tf.float64))
            loss = tf.reduce_mean(tf.square(outputs))
        return tape.gradient(loss, weights), {"loss": loss}

    expected = function(tf.constant(0, tf.int64), {"values": values})
    run = tf.function(lambda: mean_over_parts(function, {"values": values}, count), autograph=False)
    tf.nest.map_structure(
        functools.partial(np.testing.assert_allclose, rtol=1e-13), run(), expected
    )


def test_parts_that_cannot_be_equal_are_one_line():
    with pytest.raises(UserError, match="micro_batches=4: expected a divisor of the 6 images"):
        mean_over_parts(lambda start, part: part, {"images": tf.zeros((6, 1))}, 4)
    with pytest.raises(UserError, match="micro_batches: expected an integer of at least 1, got 0"):
        training.Trainer(None, None, None, None, micro_batches=0)
