"""One step of training: it moves what is to be trained, on one replica as on two."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae import models, objectives, training
from pcvae.models.weights import copy_weights
from tests.conformance.models import ENTRIES
from tests.models import tiny

BATCH = 4


def objective_of(model):
    """What trains the whole of a model: the ELBO, or eq. 2 or 3 where there is none."""
    if model.readouts:
        targets = [0.01 * k for k in model.decoded_prefixes]
        return objectives.ProgressiveCoding(rate_targets_nats_per_dim=targets)
    if model.head.has_likelihood:
        return objectives.NegativeELBO()
    return objectives.ConstrainedDistortion(distortion_target_mse=0.1)


def batch_of(strategy, name):
    entry = ENTRIES[name]
    arrays = {"images": tiny.random_images(BATCH)}
    if entry.condition is not None:
        arrays["condition"] = entry.condition(BATCH)
    local = BATCH // strategy.num_replicas_in_sync

    def part(context):
        first = context.replica_id_in_sync_group * local
        own = {key: tf.constant(array[first : first + local]) for key, array in arrays.items()}
        return {**own, "first_example": tf.constant(first, tf.int64)}

    return strategy.experimental_distribute_values_from_function(part)


def step(name, devices):
    strategy = training.make_strategy("mirrored" if len(devices) > 1 else "one_device", devices)
    with strategy.scope():
        model = ENTRIES[name].make()
        averaged = model.twin()
        copy_weights(model.named_weights, averaged)
        update = training.GradientUpdate(training.AdamW(1e-2, warmup_steps=0))
        trainer = training.Trainer(model, averaged, objective_of(model), update, seed=1)
    before = {key: weight.numpy() for key, weight in model.named_weights.items()}
    result = trainer.step(batch_of(strategy, name))
    return model, before, result


@pytest.mark.parametrize("name", ENTRIES)
def test_a_step_moves_what_is_trained_and_two_replicas_equal_one(name):
    model, before, result = step(name, ("CPU:0",))
    moved = {key for key, w in model.named_weights.items() if (w.numpy() != before[key]).any()}
    assert moved <= model.trained_weights.keys()
    # Padding and closed paths apart, nearly every trained weight has a gradient.
    assert len(moved) > 0.9 * len(model.trained_weights)
    assert np.isfinite(result["loss"])
    other, _, other_result = step(name, ("CPU:0", "CPU:1"))
    np.testing.assert_allclose(other_result["loss"], result["loss"], rtol=1e-5)
    np.testing.assert_allclose(
        other_result["rate_per_level_nats"], result["rate_per_level_nats"], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", ENTRIES)
def test_fit_moves_what_is_trained(name):
    entry, model = ENTRIES[name], ENTRIES[name].make()
    if not model.head.has_likelihood:
        pytest.skip("a head without a likelihood has no ELBO for fit to minimise")
    before = {key: weight.numpy() for key, weight in model.named_weights.items()}
    parts = (tiny.random_images(BATCH), *([entry.condition(BATCH)] if entry.condition else []))
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    data = tf.data.Dataset.from_tensor_slices(parts).batch(BATCH)
    model.fit(data, epochs=1, verbose=0)
    for key in model.frozen_weights:
        np.testing.assert_array_equal(model.named_weights[key], before[key])
    moved = [k for k, w in model.trained_weights.items() if (w.numpy() != before[k]).any()]
    assert len(moved) > 0.5 * len(model.trained_weights)
    assert models.frozen_weights_sha256(model)
