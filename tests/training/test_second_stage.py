"""Training on a frozen first stage: nothing of it moves, and nothing is kept for it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae import training, units
from pcvae.distributions.noise import SeededNoise, fold_in, make_seed
from pcvae.models import (
    VDVAE,
    ConditionalVDVAE,
    frozen_prefix_on,
    frozen_weights_sha256,
    staged_on,
)
from pcvae.objectives import ConstrainedDistortion, NegativeELBO
from tests.models import tiny
from tests.training.small_steps import distributed

pytestmark = pytest.mark.slow


def later_fn(**arguments):
    return ConditionalVDVAE(**{**tiny.ARGUMENTS, **arguments})


def later_linear_fn(**arguments):
    return later_fn(head="linear", **arguments)


def unshared_fn(**arguments):
    changes = {"encoder_blocks": tiny.ENCODER_WITH_A_FINE_BLOCK}
    return VDVAE(**{**tiny.ARGUMENTS, **changes, **arguments}, unshared_prefix=1)


def make_trainer(compose, later, objective):
    keras.utils.set_random_seed(0)
    changes = {}
    if compose is frozen_prefix_on:
        changes = {"encoder_blocks": tiny.ENCODER_WITH_A_FINE_BLOCK}
    model = compose(tiny.IMAGE_SHAPE, tiny.first_stage(**changes), later)
    return training.Trainer(
        model=model,
        averaged_model=model.twin(),
        objective=objective,
        update=training.GradientUpdate(training.AdamW(learning_rate=1e-2, warmup_steps=0)),
    )


def run(strategy, compose, later, objective, num_steps=3):
    with strategy.scope():
        trainer = make_trainer(compose, later, objective)
    before = frozen_weights_sha256(trainer.model)
    start = {name: w.numpy() for name, w in trainer.model.trained_weights.items()}
    batch = distributed(strategy, tiny.random_images(4))
    results = [trainer.step(batch) for _ in range(num_steps)]
    return trainer, before, start, results


@pytest.mark.parametrize(
    ("compose", "later", "objective"),
    [
        (staged_on, later_fn, NegativeELBO()),
        (staged_on, later_linear_fn, ConstrainedDistortion(0.1)),
        (frozen_prefix_on, unshared_fn, NegativeELBO()),
    ],
    ids=["composition", "constrained", "prefix"],
)
def test_what_is_frozen_stays_bit_by_bit_and_has_no_state(compose, later, objective):
    strategy = training.make_strategy("one_device")
    trainer, before, start, _ = run(strategy, compose, later, objective)
    model = trainer.model
    assert frozen_weights_sha256(model) == before
    still = {n for n, w in model.trained_weights.items() if (w.numpy() == start[n]).all()}
    assert not {name for name in still if "condition" not in name}  # behind a gate it may wait
    state = trainer.state
    assert state["model"].keys() == state["ema"].keys() == model.trained_weights.keys()
    kept = {name.split("/", 1)[1] for name in state["optimizer"] if "/" in name}
    assert kept == model.trained_weights.keys()
    assert not model.frozen_weights.keys() & kept
    assert ("lagrange" in state) == bool(trainer.constraints())


def test_a_cached_first_stage_trains_the_same_stage(eagerly):
    strategy = training.make_strategy("one_device")
    with strategy.scope():
        trainer = make_trainer(staged_on, later_fn, NegativeELBO())
    images = tiny.random_images(4)
    given = trainer.averaged_model.earlier_conditions(images, seed=0)
    noise = SeededNoise(fold_in(make_seed(0), 0), tf.constant(0, tf.int64))
    output = trainer.model(images, noise, **given)
    nats = output.nll + units.sum_per_example(output.rate_per_level)
    result = trainer.step({**distributed(strategy, images), **given})
    expected = np.mean(units.nats_per_dim(nats, tiny.IMAGE_SHAPE))
    np.testing.assert_allclose(result["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(
        result["rate_per_level_nats"][0], given["earlier_rates"].mean(), rtol=1e-5
    )
