"""Many devices are one: what comes of a few steps, and in which parts the batches come."""

import numpy as np
import pytest

from pcvae import data, training
from tests.training import few_steps


@pytest.mark.slow
def test_four_devices_train_as_one_does(eagerly):
    """That two do is tested with every model (tests/conformance)."""
    kinds = ("constrained",)
    expected = few_steps.train_each(training.make_strategy("one_device"), kinds)
    assert expected["constrained/lagrange/values"] != 1.0
    four = training.make_strategy("mirrored", [f"CPU:{index}" for index in range(4)])
    few_steps.check_equal(few_steps.train_each(four, kinds), expected)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_replicas_get_parts_of_the_batch_in_their_order(count):
    strategy = training.make_strategy(
        "mirrored" if count > 1 else "one_device", [f"CPU:{index}" for index in range(count)]
    )
    images = np.arange(32, dtype=np.uint8).reshape(32, 1, 1, 1)

    def batches_of(context):
        return data.training_batches(images, 8, 3, 5, num_steps=2, input_context=context)

    whole = list(training.distributed_batches(training.make_strategy("one_device"), batches_of))
    steps = list(training.distributed_batches(strategy, batches_of))
    assert len(steps) == len(whole) == 2
    for step, expected in zip(steps, whole, strict=True):
        parts = strategy.experimental_local_results(step["images"])
        np.testing.assert_array_equal(np.concatenate(parts), expected["images"])
        first = strategy.experimental_local_results(step["first_example"])
        assert list(map(int, first)) == [index * 8 // count for index in range(count)]
