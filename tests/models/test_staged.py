"""Stages as one model: chain rule, prefixes, noise, freezing, what a later stage sees."""

import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae import units
from pcvae.distributions.noise import SeededNoise, seeded_noise
from pcvae.errors import UserError
from pcvae.models import Prior, StagedVAE, load_weights, read_model, write_model
from pcvae.models.stage_order import noise_of_stage, temperatures_of_stages, within_bounds
from tests.models import tiny

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_eagerly")]


def two_stages(see="reconstruction"):
    first = tiny.first_stage()
    return StagedVAE([first, tiny.next_stage([first], see)], see)


@pytest.fixture(scope="module")
def model():
    return two_stages()


@pytest.fixture(scope="module")
def images():
    return tiny.random_images()


def test_one_stage_alone_is_the_model_itself(images):
    alone = tiny.vdvae()
    whole = StagedVAE([alone])
    np.testing.assert_array_equal(whole.sample(3, seed=4), alone.sample(3, seed=4))
    np.testing.assert_array_equal(whole.rate_per_level(images), alone.rate_per_level(images))
    np.testing.assert_array_equal(whole(images).nll, alone(images).nll)


@pytest.mark.parametrize("see", ["reconstruction", "features"])
def test_the_negative_elbo_follows_the_chain_rule(see, images):
    """log q(z|x) - log p(z) adds up over stages, each given what the one before it made."""
    model, noise = two_stages(see), seeded_noise(7)
    first, second = model.stages
    whole = model(images, noise, keep_latents=True)
    before = first(images, noise, keep_latents=True)
    seen = before.reconstruction
    if see == "features":
        seen = tf.broadcast_to(before.latents[0], (5, 4, 4, 2))
    after = second(images, noise_of_stage(noise, 1, slice(1, 3)), keep_latents=True, condition=seen)
    np.testing.assert_allclose(
        whole.rate_per_level,
        np.concatenate([before.rate_per_level, after.rate_per_level], axis=1),
        rtol=1e-5,
    )
    np.testing.assert_allclose(whole.nll, after.nll, rtol=1e-5)
    for latent, expected in zip(whole.latents, [*before.latents, *after.latents], strict=True):
        np.testing.assert_allclose(latent, expected, atol=1e-5)
    assert model.level_resolutions == (1, 1, 4)
    assert model.stage_ends == (1, 3)
    assert model.prefixes == (1, 2, 3)


def test_sampling_draws_the_first_stage_then_the_second_given_its_image(model):
    temperature, seed = np.array([0.5, 1.0, 0.8], np.float32), 3
    drawn = model.sample(4, temperature, seed=seed)
    noise = seeded_noise(seed)
    first, second = model.stages
    image = first.output(Prior(temperature[:1]), noise, num_images=4).reconstruction
    plan, own_noise = Prior(temperature[1:]), noise_of_stage(noise, 1, slice(1, 3))
    expected = second.draw(plan, own_noise, condition=image, num_images=4)
    np.testing.assert_array_equal(drawn, expected)
    assert (model.sample(4, [0.5, 1.0, 0.0], seed=seed) != drawn).any()


def test_latents_decode_to_the_reconstruction(model, images):
    latents = model.encode(images, seed=1)
    assert [latent.shape[1:] for latent in latents] == list(model.latent_shapes)
    np.testing.assert_array_equal(model.decode(latents), model.reconstruct(images, seed=1))


@pytest.mark.parametrize("num_levels", [1, 2])
def test_a_prefix_may_end_in_any_stage(model, images, num_levels):
    latents = model.encode(images, seed=1)
    prefix = model.reconstruct(images, num_levels=num_levels, seed=1)
    decoded = model.decode(latents[:num_levels])
    np.testing.assert_array_equal(prefix, decoded)
    other = model.decode([latent[::-1] for latent in latents[:num_levels]])
    assert (prefix != other).any()


def test_stages_draw_noise_of_their_own():
    """Equal levels of two stages would else get equal noise: posterior samples that agree."""
    noise, shape = seeded_noise(0), (4000, 1)
    draws = [
        noise_of_stage(noise, index, slice(None)).normal(0, shape)[:, 0].numpy()
        for index in range(3)
    ]
    correlations = np.corrcoef(draws)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(4000)
    np.testing.assert_array_equal(draws[0], noise.normal(0, shape)[:, 0])


def test_frozen_stages_get_no_gradient(images):
    model = two_stages()
    model.freeze_stages(1)
    frozen = [weight.value for weight in model.frozen_weights.values()]
    trained = [weight.value for weight in model.trained_weights.values()]
    with tf.GradientTape() as tape:
        output = model(images)
        loss = tf.reduce_sum(output.nll) + tf.reduce_sum(output.rate_per_level)
    gradients = tape.gradient(loss, frozen + trained)
    assert all(gradient is None for gradient in gradients[: len(frozen)])
    assert all(gradient is not None for gradient in gradients[len(frozen) :])
    assert {name.split("/")[0] for name in model.trained_weights} == {"stage_1"}
    assert len(model.trainable_weights) == len(trained)
    assert model.twin().stages[0] is model.stages[0]


def test_unfrozen_the_first_stage_learns_through_its_image(images):
    """The baseline is trained end to end: by the image that the second stage sees as well."""
    model = two_stages()
    head = model.named_weights["stage_0/head/projection/kernel"].value
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(images).nll)
    assert np.abs(tape.gradient(loss, head)).max() > 0


def test_a_later_stage_does_not_push_a_clipped_pixel_further():
    """Nothing would pull it back: training end to end would diverge."""
    reconstruction = tf.constant([-1.0, -0.5, 1.0])
    with tf.GradientTape() as tape:
        tape.watch(reconstruction)
        seen = within_bounds(reconstruction)
    np.testing.assert_array_equal(seen, reconstruction)
    np.testing.assert_array_equal(tape.gradient(seen, reconstruction), [0.0, 1.0, 0.0])


def test_what_the_last_stage_is_given_can_be_computed_before(images):
    model = two_stages()
    given = model.earlier_conditions(images, seed=2, batch_size=2)
    noise = SeededNoise(seeded_noise(2).seed, tf.constant(0, tf.int64))
    fresh = model.stages[0](images, noise)
    signed = units.signed_from_levels(given["condition"], 8)
    assert np.abs(signed - fresh.reconstruction).max() <= 1 / 255 + 1e-6
    np.testing.assert_allclose(given["earlier_rates"], fresh.rate_per_level, rtol=1e-5)
    output, whole = model(images, noise, **given), model(images, noise)
    np.testing.assert_allclose(output.rate_per_level[:, 0], whole.rate_per_level[:, 0], rtol=1e-5)
    np.testing.assert_allclose(output.nll, whole.nll, rtol=0.02)  # 8 bits of the image apart


def test_three_stages_come_back_from_their_file(images, tmp_path):
    first = tiny.first_stage()
    second = tiny.next_stage([first], head="linear", name="second")
    third = tiny.next_stage([first, second])
    model = StagedVAE([first, second, third])
    assert model.rate_per_level(images).shape == (5, 5)
    write_model(model, tmp_path / "model.json")
    again = read_model(tmp_path / "model.json")
    load_weights(again, {name: w.numpy() for name, w in model.named_weights.items()})
    np.testing.assert_array_equal(again.sample(2, seed=5), model.sample(2, seed=5))


def test_stages_that_do_not_fit():
    first = tiny.first_stage()
    with pytest.raises(UserError, match="unconditional first stage"):
        StagedVAE([tiny.next_stage([first])])
    with pytest.raises(UserError, match="stage 2: expected a ConditionalVDVAE .* unconditional"):
        StagedVAE([first, tiny.vdvae()])
    with pytest.raises(UserError, match="got image of"):
        StagedVAE([first, tiny.next_stage([first])], "features")
    with pytest.raises(UserError, match="later_stages_see: .*got 'latents'"):
        StagedVAE([first, tiny.next_stage([first])], "latents")
    small = tiny.vdvae(image_shape=(2, 2, 3), encoder_blocks="2d2,1x1", decoder_blocks="1x1,2m1")
    with pytest.raises(UserError, match=r"stage 2 models images of shape \(4, 4, 3\), the stage"):
        StagedVAE([small, tiny.next_stage([first])])


def test_a_stage_class_is_one_of_a_table(model):
    config = model.get_config()
    config["stages"][0]["class"] = "Sequential"
    with pytest.raises(KeyError):
        StagedVAE.from_config(config)


def test_a_temperature_a_stage_is_one_for_each_of_its_levels(model):
    assert model.stage_ends == (1, 3)
    assert temperatures_of_stages(model, (0.5, 1.0)) == [0.5, 1.0, 1.0]
    with pytest.raises(UserError, match=r"temperature: .* 2 of.*got \[0.5, 1.0, 1.0\]"):
        temperatures_of_stages(model, (0.5, 1.0, 1.0))
    with pytest.raises(UserError, match="stage_temperatures: .*one stage"):
        temperatures_of_stages(tiny.vdvae(), (0.5,))


def held_in_part(way):
    """A composed model of which some weights of the second stage are held."""
    first = tiny.first_stage()
    second = tiny.next_stage([first])
    names = [name for name in second.named_weights if name.startswith("encoder/")]
    if way == "inside":
        second.freeze(names)
        return StagedVAE([first, second])
    model = StagedVAE([first, second])
    if way == "by_the_whole":
        model.freeze([f"stage_1/{name}" for name in names])
    else:
        model.stages[1].encoder.trainable = False
    return model


@pytest.mark.parametrize("way", ["inside", "by_the_whole", "by_keras"])
def test_weights_held_in_a_stage_are_held_by_the_whole_and_by_what_comes_of_it(way):
    model = held_in_part(way)
    assert model.frozen_names == {n for n in model.named_weights if n.startswith("stage_1/encoder")}
    assert not model.trained_weights.keys() & model.frozen_names
    assert model.num_frozen_stages == 0
    for other in (model.twin(), copy.deepcopy(model), keras.models.clone_model(model)):
        assert other.frozen_names == model.frozen_names
        assert not any(weight.trainable for weight in other.frozen_weights.values())


def test_freezing_more_keeps_what_was_frozen():
    model = held_in_part("inside")
    before = model.frozen_names
    model.freeze_stages(1)
    assert model.frozen_names == before | {f"stage_0/{n}" for n in model.stages[0].named_weights}
    assert model.num_frozen_stages == 1
