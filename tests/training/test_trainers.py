"""One step: the result does not depend on replicas, and a real optimisation goes down."""

import numpy as np
import tensorflow as tf

from pcvae import training
from pcvae.distributions.noise import SeededNoise, make_seed
from pcvae.models import VDVAE
from pcvae.objectives import NegativeELBO
from tests.training.small_steps import ARGUMENTS, BATCH_SIZE, distributed


def make_trainer(seed=0, **update_arguments):
    """A trainer in the current strategy, with weights that depend on no hidden seed."""
    models = [VDVAE(**ARGUMENTS) for _ in range(2)]
    for index, weight in enumerate(models[0].weights):
        weight.assign(0.2 * tf.random.stateless_normal(weight.shape, seed=(index, 0)))
    optimizer = training.AdamW(learning_rate=1e-2, warmup_steps=0)
    update = training.GradientUpdate(optimizer, **update_arguments)
    return training.ELBOTrainer(*models, NegativeELBO(), update, seed=seed)


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


def test_two_logical_devices_equal_one():
    one = training.make_strategy("one_device")
    two = training.make_strategy("mirrored", ("CPU:0", "CPU:1"))
    _, expected_results, expected = run(one, 5)
    _, results, values = run(two, 5)
    assert values.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(values[name], expected[name], rtol=1e-4, atol=1e-5)
    for result, other in zip(results, expected_results, strict=True):
        for name in ("loss", "rate_per_level_nats", "distortion/mse"):
            np.testing.assert_allclose(result[name], other[name], rtol=1e-5, atol=1e-6)


def test_the_noise_depends_on_seed_and_step():
    strategy = training.make_strategy("one_device")
    losses = {
        seed: [float(result["loss"]) for result in run(strategy, 2, seed=seed)[1]]
        for seed in (0, 1)
    }
    assert losses[0] == [float(r["loss"]) for r in run(strategy, 2)[1]]
    assert losses[0][0] != losses[1][0]


def test_the_two_halves_of_a_batch_of_equal_images_draw_different_noise():
    strategy = training.make_strategy("mirrored", ("CPU:0", "CPU:1"))
    with strategy.scope():
        trainer = make_trainer()
    batch = distributed(strategy, np.repeat(images()[:1], BATCH_SIZE, axis=0))

    def rates(batch):
        noise = SeededNoise(make_seed(0), batch["first_example"])
        return trainer.model(batch["images"], noise=noise).nll

    nll = strategy.gather(strategy.run(tf.function(rates), args=(batch,)), axis=0).numpy()
    assert len(set(nll)) == BATCH_SIZE


def test_training_on_one_batch_goes_down_and_reports_its_parts():
    trainer, results, _ = run(training.make_strategy("one_device"), 60)
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


def test_averaged_weights_follow_the_trained_ones():
    trainer, _, _ = run(training.make_strategy("one_device"), 3, ema_decay=0.0)
    for name, weight in trainer.model.named_weights.items():
        averaged = trainer.averaged_model.named_weights[name]
        np.testing.assert_allclose(averaged, weight, rtol=1e-6, atol=1e-7)


def test_the_state_names_every_variable_once():
    with training.make_strategy("one_device").scope():
        trainer = make_trainer()
    names = [f"{group}/{name}" for group, items in trainer.state.items() for name in items]
    weights = len(trainer.model.weights)
    assert len(names) == len(set(names))
    assert len(trainer.state["model"]) == len(trainer.state["ema"]) == weights
    assert len(trainer.state["optimizer"]) == 2 * weights + 1
