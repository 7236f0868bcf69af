"""One step: a real optimisation goes down, and its noise follows from seed, step and example.

That the number of replicas changes nothing is tested on whole runs (tests/runs).
"""

import numpy as np
import pytest
import tensorflow as tf

from pcvae import training
from pcvae.distributions.noise import SeededNoise, make_seed
from pcvae.models import VDVAE
from pcvae.objectives import NegativeELBO
from tests.training.small_steps import ARGUMENTS, BATCH_SIZE, distributed

pytestmark = pytest.mark.slow


def make_trainer(seed=0, **update_arguments):
    """A trainer in the current strategy, with weights that depend on no hidden seed."""
    models = [VDVAE(**ARGUMENTS) for _ in range(2)]
    for index, weight in enumerate(models[0].weights):
        weight.assign(0.2 * tf.random.stateless_normal(weight.shape, seed=(index, 0)))
    optimizer = training.AdamW(learning_rate=1e-2, warmup_steps=0)
    update = training.GradientUpdate(optimizer, **update_arguments)
    return training.Trainer(*models, NegativeELBO(), update, seed=seed)


def images():
    return np.random.default_rng(0).integers(0, 256, (BATCH_SIZE, 8, 8, 3), dtype=np.uint8)


def run(strategy, num_steps, **arguments):
    with strategy.scope():
        trainer = make_trainer(**arguments)
    batch = distributed(strategy, images())
    results = [trainer.step(batch) for _ in range(num_steps)]
    values = {
        f"{group}/{name}": np.asarray(tf.convert_to_tensor(variable))
        for group, variables in trainer.state.items()
        for name, variable in variables.items()
    }
    return trainer, results, values


@pytest.fixture(scope="module")
def trained():
    """Sixty steps on one batch, whose average of the weights is the last of them."""
    return run(training.make_strategy("one_device"), 60, ema_decay=0.0)


def test_training_on_one_batch_goes_down_and_reports_its_parts(trained):
    trainer, results, _ = trained
    first, last = results[0], results[-1]
    assert float(last["negative_elbo/bits_per_dim"]) < 0.95 * float(
        first["negative_elbo/bits_per_dim"]
    )
    np.testing.assert_allclose(
        last["nll/bits_per_dim"] + last["rate/total_bits_per_dim"],
        last["negative_elbo/bits_per_dim"],
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        tf.reduce_sum(last["rate_per_level_nats"]) / 192 / np.log(2),
        last["rate/total_bits_per_dim"],
        rtol=1e-5,
    )
    assert trainer.steps_taken == 60


def test_averaged_weights_follow_the_trained_ones(trained):
    trainer, _, _ = trained
    for name, weight in trainer.model.named_weights.items():
        averaged = trainer.averaged_model.named_weights[name]
        np.testing.assert_allclose(averaged, weight, rtol=1e-6, atol=1e-7)


def test_the_noise_depends_on_seed_and_step(trained, eagerly):
    """Losses of the same seed are those of the traced steps, op by op; of another one, others."""
    strategy = training.make_strategy("one_device")
    losses = {
        seed: [float(result["loss"]) for result in run(strategy, 2, seed=seed)[1]]
        for seed in (0, 1)
    }
    np.testing.assert_allclose(
        losses[0], [float(result["loss"]) for result in trained[1][:2]], rtol=1e-5
    )
    assert abs(losses[0][0] - losses[1][0]) > 1e-3


def test_the_two_halves_of_a_batch_of_equal_images_draw_different_noise(eagerly):
    strategy = training.make_strategy("mirrored", ("CPU:0", "CPU:1"))
    with strategy.scope():
        trainer = make_trainer()
    batch = distributed(strategy, np.repeat(images()[:1], BATCH_SIZE, axis=0))

    def rates(batch):
        noise = SeededNoise(make_seed(0), batch["first_example"])
        return trainer.model(batch["images"], noise=noise).nll

    nll = strategy.gather(strategy.run(tf.function(rates), args=(batch,)), axis=0).numpy()
    assert len(set(nll)) == BATCH_SIZE


def test_the_state_names_every_variable_once(trained):
    trainer, _, _ = trained
    names = [f"{group}/{name}" for group, items in trainer.state.items() for name in items]
    weights = len(trainer.model.weights)
    assert len(names) == len(set(names))
    assert len(trainer.state["model"]) == len(trainer.state["ema"]) == weights
    assert len(trainer.state["optimizer"]) == 2 * weights + 1
