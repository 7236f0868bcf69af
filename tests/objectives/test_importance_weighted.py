"""The importance-weighted objective: tighter with each sample, and the same however it is run."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae import models, objectives, training
from pcvae.distributions.noise import SeededNoise, fold_in, make_seed, seeded_noise
from pcvae.errors import UserError
from tests.models import tiny
from tests.training.small_steps import distributed

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eagerly")]

CPUS = {1: ("CPU:0",), 2: ("CPU:0", "CPU:1")}


def make_model():
    model = models.BottomUpVAE(tiny.IMAGE_SHAPE, (2, 3), (5, 6), head="gaussian", bit_depth=8)
    return tiny.random_weights(model)


def pointwise_output(model, images, noise):
    return model(images, noise=noise, training=True, pointwise=True)


def test_one_sample_gives_the_negative_elbo_at_the_latent():
    model, images = make_model(), tiny.random_images(4)
    output = pointwise_output(model, images, seeded_noise(0))
    terms = objectives.ImportanceWeighted(1)(output, images, 0)
    expected = objectives.NegativeELBO()(output, images, 0)
    np.testing.assert_allclose(terms.loss, expected.loss, rtol=1e-6)
    analytic = model(images, seeded_noise(0)).rate_per_level
    assert np.abs(output.rate_per_level[:, 0] - analytic[:, 0]).max() > 1e-3


def test_more_of_the_same_samples_are_tighter():
    images = np.repeat(tiny.random_images(4), 8, axis=0)
    output = pointwise_output(make_model(), images, seeded_noise(0))
    bounds = [
        np.mean(objectives.ImportanceWeighted(count)(output, images, 0).loss)
        for count in (1, 2, 4, 8)
    ]
    assert (np.diff(bounds) < 0.0).all()
    weights = objectives.log_weights_of(output).numpy().astype(np.float64).reshape(4, 8)
    expected = -np.log(np.mean(np.exp(weights - weights.max()), axis=1)) - weights.max()
    assert bounds[-1] == pytest.approx(expected.mean() / 48, rel=1e-5)


def test_a_step_takes_new_samples_of_each_image_whatever_the_replicas():
    images, objective = tiny.random_images(4), objectives.ImportanceWeighted(3)

    def step(devices):
        strategy = training.make_strategy(
            "mirrored" if devices > 1 else "one_device", CPUS[devices]
        )
        with strategy.scope():
            model, averaged = make_model(), make_model()
            adam = training.AdamW(100.0, warmup_steps=0, epsilon=1e3, weight_decay=0.0)
            update = training.GradientUpdate(adam)
            trainer = training.Trainer(model, averaged, objective, update, seed=1)
        return model, trainer.step(distributed(strategy, images))

    model, result = step(1)
    repeated = np.repeat(images, 3, axis=0)
    noise = SeededNoise(fold_in(make_seed(1), 0), tf.constant(0, tf.int64))
    output = pointwise_output(make_model(), repeated, noise)
    expected = np.mean(objective(output, repeated, 0).loss)
    assert float(result["loss"]) == pytest.approx(expected, rel=1e-5)
    assert len(np.unique(np.round(output.rate_per_level[:, 0], 5))) == 12
    other, other_result = step(2)
    for name, result_of in ((n, r) for n, r in result.items() if n != "update"):
        np.testing.assert_allclose(other_result[name], result_of, rtol=1e-5, atol=1e-6)
    before, moved = make_model().named_weights, 0.0
    for name, weight in model.named_weights.items():
        np.testing.assert_allclose(other.named_weights[name], weight, rtol=1e-4, atol=1e-6)
        moved = max(moved, np.abs(weight - before[name]).max())
    assert moved > 1e-3


def test_what_does_not_fit_gets_one_line():
    with pytest.raises(UserError, match="num_samples"):
        objectives.ImportanceWeighted(0)
    images = tiny.random_images(2)
    output = tiny.first_stage()(images)
    with pytest.raises(UserError, match="ImportanceWeighted needs a head with a likelihood"):
        objectives.ImportanceWeighted(1)(output, images, 0)
    first = tiny.first_stage()
    staged = models.StagedVAE([first, tiny.next_stage([first], head="gaussian")])
    given = staged.earlier_pass(images, seeded_noise(0))
    with pytest.raises(UserError, match="cache_first_stage"):
        staged(images, condition=given[0], earlier_rates=given[1], training=True, pointwise=True)
