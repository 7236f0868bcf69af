"""One step of training: it moves what is to be trained, on one replica as on two."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae import objectives, training
from pcvae.errors import UserError
from pcvae.models.weights import copy_weights
from tests.conformance.models import DISTINCT, ENTRIES
from tests.models import tiny
from tests.op_by_op import op_by_op

pytestmark = pytest.mark.slow

BATCH = 4
# One of each kind of walk: levels written out and called, and stages with a condition.
GRAPHS = {"gaussian", "staged"}


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


def frozen_model(name):
    """Makes a model of which every other weight is frozen, besides those that were."""
    model = ENTRIES[name].make()
    model.freeze(list(model.named_weights)[::2])
    return model


def values(weights):
    return {name: weight.numpy() for name, weight in weights.items()}


def check_what_moved(model, before, without_gradient="-"):
    """Checks that what is frozen kept its bits, and that nearly all of the rest moved.

    Args:
        model: after the step.
        before: {name: array} of its weights before.
        without_gradient: how names begin of weights that the loss does not see.
    """
    after = values(model.named_weights)
    moved = {name for name in after if (after[name] != before[name]).any()}
    assert moved <= model.trained_weights.keys() | model.statistics.keys()
    # Padding and closed paths have no gradient.
    seen = [key for key in model.trained_weights if not key.startswith(without_gradient)]
    assert len(moved) > 0.9 * len(seen)


def step(name, devices):
    strategy = training.make_strategy("mirrored" if len(devices) > 1 else "one_device", devices)
    with strategy.scope():
        model = frozen_model(name)
        averaged = model.twin()
        copy_weights(model.named_weights, averaged)
        # With an epsilon above all gradients a step is near 0.1 of the gradient, and comparable.
        # Decay would move any weight.
        adam = training.AdamW(100.0, warmup_steps=0, epsilon=1e3, weight_decay=1e-5)
        update = training.GradientUpdate(adam)
        trainer = training.Trainer(model, averaged, objective_of(model), update, seed=1)
    before = values(model.named_weights)
    result = trainer.step(batch_of(strategy, name))
    return model, before, result


@pytest.mark.parametrize("name", DISTINCT)
def test_a_step_moves_what_is_trained_and_two_replicas_equal_one(name):
    """One replica runs the graph of some models; the rest is op by op, which needs no tracing."""
    with op_by_op(name not in GRAPHS):
        model, before, result = step(name, ("CPU:0",))
    check_what_moved(model, before)
    if model.statistics:
        return  # what the layers make of a batch hangs on all of it: tests/training/test_statistics
    with op_by_op():
        other, _, other_result = step(name, ("CPU:0", "CPU:1"))
    for key, weight in values(model.named_weights).items():
        np.testing.assert_allclose(
            other.named_weights[key].numpy(), weight, rtol=1e-4, atol=1e-5, err_msg=key
        )
    np.testing.assert_allclose(other_result["loss"], result["loss"], rtol=1e-5)
    np.testing.assert_allclose(
        other_result["rate_per_level_nats"], result["rate_per_level_nats"], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", ENTRIES)
def test_fit_moves_what_is_trained(name):
    """Op by op: that `fit` is a graph is tested in tests/models/test_vdvae.py."""
    entry, model = ENTRIES[name], frozen_model(name)
    before = values(model.named_weights)
    parts = (tiny.random_images(BATCH), *([entry.condition(BATCH)] if entry.condition else []))
    model.compile(optimizer=keras.optimizers.SGD(0.1, weight_decay=1e-3), run_eagerly=True)
    data = tf.data.Dataset.from_tensor_slices(parts).batch(BATCH)
    if not model.head.has_likelihood:
        with pytest.raises(UserError, match="likelihood, got LinearHead"):
            model.fit(data, epochs=1, verbose=0)
        return
    logs = model.fit(data, epochs=1, verbose=0).history
    check_what_moved(model, before, without_gradient="prefix_decoder_")
    parts = logs["nll_bits_per_dim"][0] + logs["rate_bits_per_dim"][0]
    assert logs["negative_elbo_bits_per_dim"][0] == pytest.approx(parts, rel=1e-6)
