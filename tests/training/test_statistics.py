"""Statistics of layers, which training moves without a gradient: those of a batch normalisation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae import training
from pcvae.distributions.noise import seeded_noise
from pcvae.layers.cells.dense import MOMENTUM
from pcvae.models import DenseLadderVAE, StagedVAE
from pcvae.objectives import NegativeELBO
from tests.models import tiny
from tests.training.small_steps import distributed

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eagerly")]

DEVICES = {1: ("CPU:0",), 2: ("CPU:0", "CPU:1")}


def normalised():
    sizes = {"latent_widths": (2,), "widths": (5,), "head": "gaussian", "bit_depth": 8}
    return tiny.random_weights(DenseLadderVAE(tiny.IMAGE_SHAPE, **sizes))


def make_trainer(model, **arguments):
    adam = training.AdamW(1e-3, warmup_steps=0)
    update = training.GradientUpdate(adam, ema_decay=0.75, ema_warmup=False)
    return training.Trainer(model, model.twin(), NegativeELBO(), update, seed=1, **arguments)


def moving_mean(model):
    return model.statistics["level_000/upwards/normalisation_1/moving_mean"].numpy()


def moved_mean(model, parts):
    """Returns the moving mean after a step that sees these parts of a batch, each by itself."""
    first = model.cells[0].upwards.layers[0]
    means = [tf.reduce_mean(first(model.evidence(part, None)), axis=0) for part in parts]
    return MOMENTUM * moving_mean(model) + (1.0 - MOMENTUM) * np.mean(means, axis=0)


@pytest.mark.parametrize(("replicas", "micro_batches"), [(1, 2), (2, 1)])
def test_a_step_moves_them_to_the_mean_over_the_parts_of_the_batch(replicas, micro_batches):
    strategy = training.make_strategy(
        "mirrored" if replicas > 1 else "one_device", DEVICES[replicas]
    )
    images = tiny.random_images(4)
    with strategy.scope():
        trainer = make_trainer(normalised(), micro_batches=micro_batches)
    model, averaged = trainer.model, trainer.averaged_model
    before = moving_mean(model)
    expected = moved_mean(model, np.split(images, replicas * micro_batches))
    trainer.step(distributed(strategy, images))
    np.testing.assert_allclose(moving_mean(model), expected, rtol=1e-5, atol=1e-6)
    assert np.abs(expected - before).max() > 1e-3
    # Averaged as weights are.
    np.testing.assert_allclose(moving_mean(averaged), 0.75 * before + 0.25 * expected, atol=1e-6)


def test_a_skipped_update_leaves_them():
    trainer = make_trainer(normalised())
    bias = trainer.model.named_weights["pixels/bias"]
    bias.assign(np.nan * bias)
    before = {name: weight.numpy() for name, weight in trainer.model.statistics.items()}
    report = trainer.step(distributed(trainer.strategy, tiny.random_images(4)))["update"]
    assert report.skipped and len(before) == 8
    for name, weight in trainer.model.statistics.items():
        np.testing.assert_array_equal(weight, before[name])


def test_a_trainer_with_the_state_of_another_goes_on_bit_by_bit():
    trainer, other = (make_trainer(normalised()) for _ in range(2))
    batch = distributed(trainer.strategy, tiny.random_images(4))
    trainer.step(batch)
    for group, variables in trainer.state.items():
        for name, variable in variables.items():
            other.state[group][name].assign(tf.convert_to_tensor(variable))
    for each in (trainer, other):
        each.step(batch)
    for model, twin in ((t.model, t.averaged_model) for t in (trainer, other)):
        assert model.statistics.keys() <= trainer.state["model"].keys()
        assert twin.statistics.keys() <= trainer.state["ema"].keys()
    for name, weight in trainer.averaged_model.named_weights.items():
        np.testing.assert_array_equal(other.averaged_model.named_weights[name], weight)


def test_fit_moves_them_to_the_mean_over_images():
    """Two replicas have two images and one: each counts by its images."""
    strategy, images = training.make_strategy("mirrored", DEVICES[2]), tiny.random_images(3)
    with strategy.scope():
        model = normalised()
        model.compile(keras.optimizers.SGD(0.0))
    before = moving_mean(model)
    means = [moved_mean(model, [part]) for part in np.split(images, [2])]
    model.fit(images, batch_size=3, epochs=1, verbose=0)
    expected = np.average(means, axis=0, weights=[2, 1])
    np.testing.assert_allclose(moving_mean(model), expected, rtol=1e-5, atol=1e-6)
    assert np.abs(expected - before).max() > 1e-3


def test_outside_of_training_they_are_what_counts_and_the_batch_is_not():
    model, images = normalised(), tiny.random_images(4)
    rates = model.rate_per_level(images)
    np.testing.assert_allclose(model.rate_per_level(images[:1]), rates[:1], rtol=1e-5)
    np.testing.assert_allclose(model(images, seeded_noise(0)).rate_per_level, rates, rtol=1e-5)
    trained = model(images, seeded_noise(0), training=True).rate_per_level
    assert np.abs(trained - rates).max() > 1e-3
    for weight in model.statistics.values():
        weight.assign(weight + 1.0)
    assert np.abs(model.rate_per_level(images) - rates).max() > 1e-3


def test_what_is_held_computes_as_in_inference_in_every_copy():
    """A name of one statistic holds the four weights of its layer."""
    model, images = normalised(), tiny.random_images(4)
    names = {name.rsplit("/", 1)[0] for name in model.statistics}
    model.freeze([f"{name}/moving_variance" for name in names])
    for copy in (model, model.twin(), keras.models.clone_model(model)):
        assert not copy.statistics
        assert {name.rsplit("/", 1)[0] for name in copy.frozen_names} == names
        assert len(copy.frozen_names) == 4 * len(names)
    expected = model(images, seeded_noise(0)).rate_per_level
    output = model(images, seeded_noise(0), training=True)
    np.testing.assert_array_equal(output.rate_per_level, expected)
    assert not make_trainer(model).state["model"].keys() & model.frozen_names


def test_a_frozen_stage_computes_as_in_inference():
    first = normalised()
    model = StagedVAE([first, tiny.next_stage([first], head="gaussian")])
    assert len(model.statistics) == 8
    model.freeze_stages(1)
    images, noise = tiny.random_images(4), seeded_noise(0)
    assert not model.statistics
    expected = model(images, noise).rate_per_level
    np.testing.assert_array_equal(model(images, noise, training=True).rate_per_level, expected)
