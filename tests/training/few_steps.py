"""A few steps of each kind of training, for tests that compare devices."""

import keras
import numpy as np

from pcvae import data, training
from pcvae.models import ConditionalVDVAE, staged_on
from pcvae.objectives import ConstrainedRate, LagrangeMultiplier, NegativeELBO
from tests.models import tiny
from tests.training import linear_gaussian

STEPS = 2
BATCH = 12  # for 1, 2, 3, 4 replicas


def second_stage():
    def later_fn(**arguments):
        return ConditionalVDVAE(**{**tiny.ARGUMENTS, **arguments})

    # Random weights: a gate that is closed would keep what is behind it from moving.
    return tiny.random_weights(staged_on(tiny.IMAGE_SHAPE, tiny.first_stage(), later_fn))


def graded(model, **arguments):
    """Makes a trainer whose steps are in proportion to the gradients.

    Adam's step for a gradient of nearly zero has the sign of its rounding, unless its epsilon is
    above all gradients.
    """
    adam = training.AdamW(100.0, warmup_steps=0, epsilon=1e3)
    update = training.GradientUpdate(adam, clip_norm=None)
    return training.Trainer(model, model.twin(), NegativeELBO(), update, seed=1, **arguments)


KINDS = {
    "elbo": (lambda **a: graded(tiny.vdvae(), **a), tiny.random_images(16)),
    "constrained": (
        lambda **a: linear_gaussian.make_trainer(
            ConstrainedRate(0.4), LagrangeMultiplier(), STEPS, **a
        ),
        linear_gaussian.gaussian_images(),
    ),
    "second_stage": (lambda **a: graded(second_stage(), **a), tiny.random_images(16)),
}


def train_each(strategy, kinds=tuple(KINDS), **arguments):
    """Returns {"kind/group/name": array} of the state after the steps, under a strategy.

    Args:
        strategy: a `tf.distribute.Strategy`.
        kinds: keys of KINDS.
        **arguments: more of the trainers.
    """
    state = {}
    for kind in kinds:
        make_trainer, images = KINDS[kind]
        with strategy.scope():
            keras.utils.set_random_seed(0)
            trainer = make_trainer(**arguments)

        def batches_of(context, images=images):
            return data.training_batches(images, BATCH, seed=0, input_context=context)

        batches = training.distributed_batches(strategy, batches_of)
        weights = trainer.model.trained_weights
        before = {name: weight.numpy() for name, weight in weights.items()}
        for _ in range(STEPS):
            trainer.step(next(batches))
        moved = [(weight.numpy() != before[name]).any() for name, weight in weights.items()]
        assert np.mean(moved) > 0.9, kind
        for group, variables in trainer.state.items():
            for name, variable in variables.items():
                state[f"{kind}/{group}/{name}"] = np.asarray(variable.numpy())
    return state


def check_equal(state, expected):
    """Checks that every value is the same up to rounding: 1e-5 of the largest of its tensor."""
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        largest = np.abs(value[np.isfinite(value)]).max(initial=0.0)
        np.testing.assert_allclose(state[name], value, rtol=1e-5, atol=1e-5 * largest, err_msg=name)


def norm(arrays):
    """Returns the Euclidean norm of all numbers of some arrays."""
    return np.sqrt(sum(np.sum(np.square(array, dtype=np.float64)) for array in arrays))
