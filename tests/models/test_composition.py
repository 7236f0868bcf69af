"""A new stage on a trained one, all stages at once, and a frozen prefix within one model."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.models import (
    VDVAE,
    ConditionalVDVAE,
    frozen_prefix_on,
    stage_of_prefix,
    staged_on,
    staged_vae,
)
from tests.models import tiny

pytestmark = pytest.mark.slow


def first_fn(image_shape):
    return VDVAE(
        **{**tiny.ARGUMENTS, "image_shape": image_shape}, head="linear", num_latent_levels=1
    )


def later_fn(image_shape, condition, condition_shape):
    arguments = {**tiny.ARGUMENTS, "image_shape": image_shape}
    return ConditionalVDVAE(condition=condition, condition_shape=condition_shape, **arguments)


@pytest.mark.parametrize("see", ["reconstruction", "features"])
def test_the_baseline_has_the_form_and_the_parameters_of_the_composition(see):
    baseline = staged_vae(first_fn, [later_fn], see, tiny.IMAGE_SHAPE)
    first = first_fn(tiny.IMAGE_SHAPE)
    first_parameters = sum(w.shape.num_elements() for w in first.trained_weights.values())
    composed = staged_on(tiny.IMAGE_SHAPE, first, later_fn, see)

    def shapes(weights):
        return {name: tuple(weight.shape) for name, weight in weights.items()}

    assert shapes(baseline.trained_weights) == shapes(composed.named_weights)
    # What the two trainings of the composition move is what the one of the baseline moves.
    later_parameters = sum(w.shape.num_elements() for w in composed.trained_weights.values())
    assert first_parameters + later_parameters == baseline.count_params()
    assert composed.later_stages_see == baseline.later_stages_see == see


def test_a_stage_on_a_composition_makes_three():
    two = staged_on(tiny.IMAGE_SHAPE, tiny.first_stage(), later_fn)
    three = staged_on(tiny.IMAGE_SHAPE, two, later_fn)
    assert len(three.stages) == 3
    assert {name.split("/")[0] for name in three.trained_weights} == {"stage_2"}
    with pytest.raises(UserError, match="composed with 'reconstruction', got 'features'"):
        staged_on(tiny.IMAGE_SHAPE, two, later_fn, "features")


def test_a_first_stage_of_another_size_is_refused():
    with pytest.raises(UserError, match="models images of 4x4x3, the data has images of 8x8x3"):
        staged_on((8, 8, 3), tiny.first_stage(), later_fn)


FINE = {"encoder_blocks": tiny.ENCODER_WITH_A_FINE_BLOCK}


def unshared_fn(image_shape, prefix=1, **changes):
    return VDVAE(
        **{**tiny.ARGUMENTS, **FINE, "image_shape": image_shape, **changes}, unshared_prefix=prefix
    )


def test_a_frozen_prefix_is_the_first_stage_whatever_the_rest_learns():
    images, noise = tiny.random_images(), seeded_noise(2)
    first = tiny.first_stage(**FINE)
    model = frozen_prefix_on(tiny.IMAGE_SHAPE, first, unshared_fn)
    expected = first(images, noise, keep_latents=True)
    for attempt in range(2):
        output = model(images, noise, keep_latents=True)
        np.testing.assert_array_equal(output.latents[0], expected.latents[0])
        np.testing.assert_array_equal(output.rate_per_level[:, 0], expected.rate_per_level[:, 0])
        for index, weight in enumerate(model.trained_weights.values()):
            weight.assign(tf.random.stateless_normal(weight.shape, (attempt, index)))
    assert model.trained_weights.keys() | model.frozen_weights.keys() == model.named_weights.keys()
    assert len(model.trainable_weights) == len(model.trained_weights)


@pytest.mark.usefixtures("eagerly")
def test_a_stage_of_a_prefix_keeps_latents_and_rates_whatever_its_decoder_learns():
    images, noise = tiny.random_images(), seeded_noise(2)
    trained = tiny.vdvae(head="gaussian")
    stage = stage_of_prefix(tiny.IMAGE_SHAPE, trained, first_fn)
    expected = trained(images, noise, keep_latents=True)
    before = stage(images, noise).reconstruction
    for index, weight in enumerate(stage.trained_weights.values()):
        weight.assign(tf.random.stateless_normal(weight.shape, (1, index)))
    output = stage(images, noise, keep_latents=True)
    np.testing.assert_array_equal(output.latents[0], expected.latents[0])
    np.testing.assert_array_equal(output.rate_per_level[:, 0], expected.rate_per_level[:, 0])
    assert (output.reconstruction.numpy() != before.numpy()).any()
    with pytest.raises(UserError, match="trained model: expected encoder/"):
        stage_of_prefix(tiny.IMAGE_SHAPE, tiny.vdvae(width=12, head="gaussian"), first_fn)


def test_an_unshared_prefix_changes_nothing_but_whose_weights_are_seen():
    """With both encoders equal it is the published model."""
    plain, images = tiny.vdvae(**FINE), tiny.random_images()
    model = unshared_fn(tiny.IMAGE_SHAPE)
    for name, weight in model.named_weights.items():
        weight.assign(plain.named_weights[name.replace("prefix_encoder/", "encoder/")])
    np.testing.assert_allclose(model(images).nll, plain(images).nll, rtol=1e-5)
    np.testing.assert_array_equal(model.sample(2), plain.sample(2))


@pytest.mark.parametrize(
    ("first", "changes", "message"),
    [
        ({"num_latent_levels": 2}, {}, "expected the 2 levels of the first stage, got 1"),
        ({}, {"width": 12}, "trained model: expected .* take its layer strings"),
        ({}, {"prefix": 2}, "unshared_prefix: expected less than all 2 levels"),
        ({}, {"encoder_blocks": "4d4,1x1"}, "see no block of '4d4,1x1': add one such as '4x1'"),
    ],
)
def test_prefixes_that_do_not_fit(first, changes, message):
    arguments = {**tiny.ARGUMENTS, **FINE, "head": "linear", "num_latent_levels": 1, **first}
    with pytest.raises(UserError, match=message):
        frozen_prefix_on(
            tiny.IMAGE_SHAPE,
            VDVAE(**arguments),
            lambda image_shape: unshared_fn(image_shape, **changes),
        )


def test_a_prefix_that_shares_a_stack_with_later_levels_cannot_be_frozen():
    model = tiny.vdvae(decoder_blocks="1x2,4m1")
    with pytest.raises(UserError, match="prefix of 1 levels"):
        model.weights_of_prefix(1)
    assert "decoder/levels_000/prior_c1_kernel" in model.weights_of_prefix(2)
