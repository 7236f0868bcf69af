"""Decoders of prefixes on frozen latents: frozen is frozen, and the fit finds the least error."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae import training
from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.models import (
    VDVAE,
    PrefixDecoders,
    RefittedPrefixes,
    StagedVAE,
    load_weights,
    read_model,
    weights_sha256,
    write_model,
)
from pcvae.objectives import PrefixDistortion, mse
from pcvae.outputs import VDVAEOutput
from tests.models import tiny
from tests.op_by_op import op_by_op
from tests.training.small_steps import ARGUMENTS, BATCH_SIZE, distributed

pytestmark = pytest.mark.slow


def make_model(**changes):
    model = VDVAE(**{**ARGUMENTS, **changes})
    for index, weight in enumerate(model.weights):
        weight.assign(0.2 * tf.random.stateless_normal(weight.shape, seed=(index, 0)))
    return model


def make_decoders(model, prefixes=None):
    decoders = PrefixDecoders.for_model(model, prefixes)
    for index, weight in enumerate(decoders.weights):
        weight.assign(0.2 * tf.random.stateless_normal(weight.shape, seed=(index, 1)))
    return decoders


def random_images(count=BATCH_SIZE):
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


def make_trainer(model, prefixes=None, seed=0):
    decoders, averaged = (make_decoders(model, prefixes) for _ in range(2))
    return training.Trainer(
        RefittedPrefixes(model, decoders),
        RefittedPrefixes(model, averaged),
        PrefixDistortion(),
        training.GradientUpdate(training.AdamW(learning_rate=1e-2, warmup_steps=0)),
        seed=seed,
    )


def test_the_prefixes_are_those_at_which_a_resolution_is_complete():
    model = make_model()
    assert PrefixDecoders.for_model(model).prefixes == (1, 3, 4)
    assert PrefixDecoders.for_model(model, ("4x4", 2)).prefixes == (2, 3)
    assert PrefixDecoders.for_model(make_model(num_latent_levels="4x4")).prefixes == (1, 3)


@pytest.mark.parametrize("prefixes", [(0,), (5,), ("2x2",), (1, "1x1")])
def test_prefixes_that_cannot_be(prefixes):
    with pytest.raises(UserError, match=f"prefixes: .*({prefixes[-1]!r}|twice)"):
        PrefixDecoders.for_model(make_model(), prefixes)


def test_prefixes_end_at_the_last_latent():
    with pytest.raises(UserError, match="prefixes: .*got 4"):
        PrefixDecoders.for_model(make_model(num_latent_levels=3), (4,))


def test_output_has_the_shapes_of_its_record():
    model = make_model()
    output = RefittedPrefixes(model, make_decoders(model))(random_images(3))
    assert list(output.prefix_reconstructions) == [1, 3, 4]
    for reconstruction in output.prefix_reconstructions.values():
        assert reconstruction.shape == (3, 8, 8, 3)
    np.testing.assert_array_equal(output.reconstruction, output.prefix_reconstructions[4])
    assert output.nll is None
    assert output.rate_per_level.shape == (3, 4)


def test_latents_and_rates_are_those_of_the_frozen_posterior():
    model, noise = make_model(), seeded_noise(3)
    output = RefittedPrefixes(model, make_decoders(model, (3,)))(random_images(), noise)
    expected = model(random_images(), noise=noise, keep_latents=True)
    np.testing.assert_array_equal(output.rate_per_level, expected.rate_per_level)
    for latent, wanted in zip(output.latents, expected.latents, strict=True):
        np.testing.assert_array_equal(latent, wanted)


def test_no_gradient_reaches_the_frozen_model():
    model = make_model()
    refitted = RefittedPrefixes(model, make_decoders(model))
    with tf.GradientTape() as tape:
        output = refitted(random_images())
        loss = tf.reduce_sum(PrefixDistortion()(output, random_images(), 0).loss)
        loss += tf.reduce_sum(output.rate_per_level)
    frozen = [weight.value for weight in model.weights]
    fitted = [weight.value for weight in refitted.named_weights.values()]
    gradients = tape.gradient(loss, [*frozen, *fitted])
    assert all(gradient is None for gradient in gradients[: len(frozen)])
    assert all(gradient is not None for gradient in gradients[len(frozen) :])


@pytest.fixture(scope="module")
def trained():
    """Three steps of two decoders fitted together: the trainer, its model's weights before."""
    with op_by_op():
        strategy = training.make_strategy("one_device")
        with strategy.scope():
            model = make_model()
            trainer = make_trainer(model, (1, 3))
        before = [weight.numpy() for weight in model.weights]
        for _ in range(3):
            trainer.step(distributed(strategy, random_images()))
    return trainer, model, before


def test_training_leaves_every_bit_of_the_frozen_model_and_keeps_nothing_for_it(trained):
    trainer, model, before = trained
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    assert weights_sha256(model) == weights_sha256(make_model())
    fitted_before = make_decoders(model, (1, 3)).named_weights
    for name, weight in trainer.model.named_weights.items():
        assert (weight.numpy() != fitted_before[name].numpy()).any()
    frozen = {id(weight) for weight in model.weights}
    names = set(trainer.model.named_weights)
    state = trainer.state
    assert set(state["model"]) == set(state["ema"]) == names
    assert set(state["optimizer"]) == {
        "updates_applied",
        *(f"{slot}/{name}" for slot in "mv" for name in names),
    }
    assert not any(id(item) in frozen for group in state.values() for item in group.values())


def test_the_digest_sees_one_bit():
    model = make_model()
    digest = weights_sha256(model)
    weight = model.weights[3]
    value = weight.numpy()
    value.flat[0] = np.nextafter(value.flat[0], np.float32(np.inf))
    weight.assign(value)
    assert weights_sha256(model) != digest


def test_decoders_fitted_together_are_those_fitted_alone(trained, eagerly):
    strategy = training.make_strategy("one_device")
    with strategy.scope():
        trainer = make_trainer(make_model(), (1,))
    for _ in range(3):
        trainer.step(distributed(strategy, random_images()))
    together = trained[0].model.named_weights
    for name, weight in trainer.model.named_weights.items():
        np.testing.assert_allclose(together[name].numpy(), weight.numpy(), rtol=1e-4, atol=1e-6)


def test_reconstructions_are_rounded_and_do_not_depend_on_batches(eagerly):
    model = make_model()
    refitted, images = RefittedPrefixes(model, make_decoders(model)), random_images(5)
    whole, parts = refitted.reconstruct(images, seed=2), refitted.reconstruct(images, 2, 2)
    output = refitted(images, seeded_noise(2))
    for length, reconstruction in output.prefix_reconstructions.items():
        assert whole[length].dtype == np.uint8
        pixels = (reconstruction.numpy() + 1) * 127.5
        assert np.abs(whole[length] - pixels).max() <= 0.5 + 1e-3
        assert np.abs(whole[length].astype(int) - parts[length]).max() <= 1


def test_round_trip_through_json_and_weights(tmp_path):
    model = make_model(width_per_resolution={8: 8, 4: 10, 1: 10}, num_latent_levels="4x4")
    decoders = make_decoders(model, ("1x1", 3))
    write_model(decoders, tmp_path / "model.json")
    again = read_model(tmp_path / "model.json")
    assert type(again) is PrefixDecoders
    assert again.get_config() == decoders.get_config()
    json.dumps(again.get_config())
    load_weights(again, {name: w.numpy() for name, w in decoders.named_weights.items()})
    latents = model(random_images(), keep_latents=True).latents
    for length, reconstruction in decoders(latents).items():
        np.testing.assert_array_equal(again(latents)[length], reconstruction)


class NoisySign:
    """A model whose one latent is the sign of an image plus Gaussian noise of a deviation."""

    image_shape, level_resolutions, num_levels = (2, 2, 1), (1,), 1

    def __init__(self, deviation):
        self.deviation = deviation

    def posterior_output(self, images, noise, keep_latents):
        signs = tf.sign(tf.reduce_mean(tf.cast(images, tf.float32), [1, 2, 3]) - 127.5)
        shape = (tf.shape(signs)[0], 1, 1, 1)
        latent = tf.reshape(signs, shape) + self.deviation * noise.normal(0, shape)
        rates = tf.zeros((tf.shape(signs)[0], 1))
        return VDVAEOutput(None, None, (latent,), rates, None)


def least_error(deviation):
    """E[Var(s | z)] for a fair sign s and z = s + deviation * noise, by quadrature: E[s | z] is
    tanh(z / deviation^2)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    z = 1.0 + deviation * nodes
    return 1.0 - np.sum(weights * np.tanh(z / deviation**2)) / weights.sum()


@pytest.mark.parametrize("deviation", [0.5, 3.0])
def test_the_fit_finds_the_least_error_in_closed_form(deviation):
    """Black and white images, told by a noisy sign: the best decoder is the posterior mean."""
    strategy = training.make_strategy("one_device")
    images = np.repeat(np.array([0, 255], np.uint8), 128)[:, None, None, None]
    images = np.broadcast_to(images, (256, 2, 2, 1)).copy()
    with strategy.scope():
        keras.utils.set_random_seed(1)
        frozen = NoisySign(deviation)
        arguments = {"prefixes": (1,), "image_shape": (2, 2, 1), "decoder_blocks": "1x1,2m1"}
        decoders, averaged = (
            PrefixDecoders(width=16, latent_width=1, bottleneck=1.0, **arguments) for _ in range(2)
        )
        optimizer = training.AdamW(1e-2, beta_2=0.99, weight_decay=0.0, warmup_steps=10)
        trainer = training.Trainer(
            RefittedPrefixes(frozen, decoders),
            RefittedPrefixes(frozen, averaged),
            PrefixDistortion(),
            training.GradientUpdate(optimizer, ema_decay=0.98),
        )
    batch = distributed(strategy, images)
    for _ in range(500):
        trainer.step(batch)
    many = np.tile(images, (80, 1, 1, 1))
    output = RefittedPrefixes(frozen, averaged)(many, seeded_noise(9))
    errors = mse(many, output.reconstruction).numpy()
    standard_error = errors.std() / np.sqrt(len(errors))
    expected = least_error(deviation)
    assert errors.mean() > expected - 4 * standard_error
    assert errors.mean() < 1.03 * expected + 4 * standard_error


def test_models_of_stages_and_with_conditions_are_refused_in_one_line():
    stages = [tiny.first_stage()]
    stages.append(tiny.next_stage(stages))
    for model in (StagedVAE(stages), stages[1]):
        with pytest.raises(UserError, match="fit those of a first stage on its own run") as error:
            PrefixDecoders.for_model(model)
        assert "\n" not in str(error.value)
