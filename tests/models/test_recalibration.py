"""Statistics measured anew from samples: what they are, and what they leave alone."""

import copy

import numpy as np
import pytest
import tensorflow as tf

from pcvae.distributions.noise import SeededNoise, make_seed, seeded_noise
from pcvae.errors import UserError
from pcvae.layers.nvae_blocks import MOMENTUM
from pcvae.models import NVAE, Prior
from pcvae.models.recalibration import in_training_mode
from tests.models import tiny

pytestmark = pytest.mark.slow
BATCH = 6
PLAN = Prior(tf.fill([2], 0.5))


@pytest.fixture(scope="module")
def model():
    return tiny.random_weights(NVAE(**tiny.ARGUMENTS, head="gaussian", name="model"))


def statistics(model, end=""):
    return {name: w.numpy() for name, w in model.statistics.items() if name.endswith(end)}


def in_training(model, first=0):
    """Returns a reconstruction of samples in training mode, and the statistics of their batch."""
    again = copy.deepcopy(model)
    noise = SeededNoise(make_seed(3), tf.constant(first, tf.int64))
    output = in_training_mode(lambda: again.output(PLAN, noise, num_images=BATCH))
    before, after = statistics(model), statistics(again)
    batch = {
        name: (after[name] - MOMENTUM * before[name]) / (1.0 - MOMENTUM)
        for name in after
        if (after[name] != before[name]).any()
    }
    return output.reconstruction, batch


def test_after_one_batch_samples_of_it_are_those_of_training(model):
    """Each layer then normalises by the very statistics of this batch."""
    again = model.recalibrated(0.5, num_batches=1, seed=3, batch_size=BATCH)
    samples, before = (
        m.output(PLAN, seeded_noise(3), num_images=BATCH).reconstruction for m in (again, model)
    )
    expected, _ = in_training(model)
    np.testing.assert_allclose(samples, expected, rtol=1e-3, atol=1e-4)
    assert np.abs(before - expected).max() > 0.01


def test_statistics_are_the_means_over_batches_and_the_rest_stays(model):
    before = {name: weight.numpy() for name, weight in model.named_weights.items()}
    again = model.recalibrated(0.5, num_batches=2, seed=3, batch_size=BATCH)
    batches = [in_training(model, first)[1] for first in (0, BATCH)]
    # No sample goes through the encoder.
    assert batches[0].keys() == {n for n in model.statistics if n.startswith("decoder/")}
    for name, weight in again.named_weights.items():
        np.testing.assert_array_equal(model.named_weights[name], before[name])
        if name in batches[0]:
            expected = 0.5 * (batches[0][name] + batches[1][name])
            np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-4)
        else:
            np.testing.assert_array_equal(weight, before[name])


def test_the_variance_of_what_the_first_latent_makes_grows_by_the_temperature_squared(eagerly):
    """Of a fresh model, whose first prior is a standard normal and whose features start at zero."""
    fresh = NVAE(**tiny.ARGUMENTS, head="gaussian")
    variance, mean = (f"levels_000/residual_norm_1_moving_{end}" for end in ("variance", "mean"))
    arguments = {"num_batches": 1, "batch_size": 1000}
    half, whole = (fresh.recalibrated(t, **arguments) for t in (0.5, 1.0))
    (of_half,), (of_whole,) = (statistics(m, variance).values() for m in (half, whole))
    np.testing.assert_allclose(of_half, 0.25 * of_whole, rtol=1e-5)
    kernel = fresh.decoder.stacks[0].level_weight("latent_projection_kernel")[0]
    expected = tf.reduce_sum(kernel[0, 0] ** 2, axis=0) * (1.0 - 1.0 / 1000)
    np.testing.assert_allclose(of_whole[0], expected, rtol=0.2)
    (means,) = statistics(half, mean).values()
    np.testing.assert_allclose(means, 0.5 * statistics(whole, mean)[f"decoder/{mean}"], atol=1e-6)


def test_a_model_without_such_statistics_is_refused(eagerly):
    with pytest.raises(UserError, match="samples of vdvae go through no moving statistics"):
        tiny.vdvae(head="gaussian").recalibrated(num_batches=1)
