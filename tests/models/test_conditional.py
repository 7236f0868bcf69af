"""A VDVAE with a condition: equal to one without while the gates are closed."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.models import (
    VDVAE,
    ConditionalVDVAE,
    StagedVAE,
    make_condition,
    read_model,
    small_vdvae,
    write_model,
)
from tests.models import tiny

pytestmark = pytest.mark.usefixtures("module_eagerly")

LABEL = {"condition": "label", "num_classes": 3}
SMALLER = {"condition_shape": (2, 2, 3)}
FEATURES = {"condition": "features", "condition_shape": (4, 4, 5)}


def conditions(kind, count=5, seed=1):
    rng = np.random.default_rng(seed)
    if kind is LABEL:
        return rng.integers(0, 3, count)
    if kind is FEATURES:
        return rng.normal(size=(count, 4, 4, 5)).astype(np.float32)
    side = 2 if kind is SMALLER else 4
    return rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def close_the_gates(model):
    for name, weight in model.named_weights.items():
        if "condition_gate" in name or "condition_conv" in name:
            weight.assign(tf.zeros(weight.shape))


@pytest.mark.parametrize("kind", [{}, SMALLER, LABEL, FEATURES], ids=str)
def test_with_closed_gates_it_is_the_unconditional_model(kind):
    images, noise = tiny.random_images(), seeded_noise(3)
    model, plain = tiny.conditional(**kind), VDVAE(**tiny.ARGUMENTS)
    given = conditions(kind)
    names = plain.named_weights
    for name, weight in names.items():
        weight.assign(model.named_weights[name])
    opened = model(images, noise, condition=given)
    close_the_gates(model)
    closed, expected = model(images, noise, condition=given), plain(images, noise)
    np.testing.assert_array_equal(closed.rate_per_level, expected.rate_per_level)
    np.testing.assert_array_equal(closed.nll, expected.nll)
    # And the condition is what makes a difference once they are open.
    assert (opened.rate_per_level.numpy() != expected.rate_per_level.numpy()).all()


def test_a_fresh_model_has_closed_gates_and_learns_to_open_them():
    model, images = ConditionalVDVAE(**tiny.ARGUMENTS), tiny.random_images()
    gates = [w for name, w in model.named_weights.items() if "condition_gate" in name]
    assert len(gates) == 2
    assert not any(np.any(gate.numpy()) for gate in gates)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(images, condition=conditions({})).nll)
    for gradient in tape.gradient(loss, [gate.value for gate in gates]):
        assert np.abs(gradient).max() > 0


def test_the_condition_reaches_prior_and_posterior():
    model, images = tiny.conditional(), tiny.random_images()
    means, rates = (
        [act(conditions({}, seed=seed)) for seed in (1, 2)]
        for act in (
            lambda given: model.sample(5, temperature=0.0, condition=given),
            lambda given: model.rate_per_level(images, condition=given),
        )
    )
    assert (means[0] != means[1]).any()  # the prior's means
    assert (rates[0] != rates[1]).all()


@pytest.fixture(scope="module")
def super_resolution():
    return tiny.conditional(**SMALLER)


def test_a_smaller_image_follows_from_the_image(super_resolution):
    images = tiny.random_images()
    squares = images.reshape(5, 2, 2, 2, 2, 3).astype(float).mean(axis=(2, 4))
    given = super_resolution.natural_condition(images)
    np.testing.assert_array_equal(given, np.floor(squares + 0.5).astype(np.uint8))
    implied, said = super_resolution(images), super_resolution(images, condition=given)
    np.testing.assert_array_equal(implied.nll, said.nll)
    np.testing.assert_array_equal(
        super_resolution.reconstruct(images), super_resolution.reconstruct(images, condition=given)
    )


def test_batches_do_not_change_what_is_drawn_for_a_condition(super_resolution):
    given = conditions(SMALLER, 5)
    whole = super_resolution.sample(5, seed=2, condition=given)
    parts = [
        super_resolution.sample(2, seed=2, condition=given[:2], batch_size=1),
        super_resolution.sample(3, seed=2, condition=given[2:], first_sample=2),
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_latents_come_back_with_their_condition(super_resolution):
    images = tiny.random_images()
    given = super_resolution.natural_condition(images)
    latents = super_resolution.encode(images)
    again = super_resolution.decode(latents, condition=given)
    np.testing.assert_array_equal(again, super_resolution.reconstruct(images))


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ({}, None, r"condition: .*\(4, 4, 3\)"),
        ({}, np.zeros((5, 4, 4, 3)), "condition: .*got float64"),
        ({}, np.zeros((4, 4, 4, 3), np.uint8), r"condition: .*got uint8 \[4, 4, 4, 3\]"),
        (LABEL, [0, 1, 2, 3, 0], "condition: .*from 0 to 2, got"),
        (LABEL, [0.5] * 5, "condition: .*got float64"),
    ],
)
def test_conditions_that_do_not_fit(kind, given, message):
    model = tiny.conditional(**kind)
    with pytest.raises(UserError, match=message):
        model.reconstruct(tiny.random_images(), condition=given)
    with pytest.raises(UserError, match="condition: expected"):
        model.sample(5, condition=given)


def test_a_model_without_a_condition_takes_none():
    with pytest.raises(UserError, match="takes no condition"):
        tiny.vdvae().sample(2, condition=np.zeros((2, 4, 4, 3), np.uint8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"condition": "sound"}, "expected one of image, features, label, got 'sound'"),
        ({"condition_shape": (3, 3, 3)}, "of a side that divides 4"),
        ({"condition": "label"}, "num_classes: expected an integer"),
        ({"condition": "features"}, "features need one"),
        ({"num_classes": 3}, "only a label has classes"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(UserError, match=message):
        ConditionalVDVAE(**tiny.ARGUMENTS, **arguments)


@pytest.mark.parametrize("kind", [SMALLER, LABEL, FEATURES], ids=str)
def test_it_comes_back_from_its_file(kind, tmp_path):
    model = tiny.conditional(**kind)
    write_model(model, tmp_path / "model.json")
    again = read_model(tmp_path / "model.json")
    assert again.condition == model.condition
    assert {n: w.shape for n, w in again.named_weights.items()} == {
        n: w.shape for n, w in model.named_weights.items()
    }


@pytest.mark.slow
def test_keras_fits_images_with_labels():
    model = ConditionalVDVAE(**tiny.ARGUMENTS, **LABEL)
    model.compile(optimizer="adam")
    before = model.condition_encoder.tables["4"].numpy()
    labels = np.arange(8) % 2
    history = model.fit(tiny.random_images(8), labels, batch_size=4, epochs=2, verbose=0).history
    total, *parts = (history[f"{name}_bits_per_dim"] for name in ("negative_elbo", "nll", "rate"))
    np.testing.assert_allclose(total, np.sum(parts, axis=0), rtol=1e-5)
    # The vectors of the labels that came have moved, and that of the other has not.
    moved = (model.condition_encoder.tables["4"].numpy() != before).any(axis=1)
    assert moved.tolist() == [True, True, False]


def test_a_residual_starts_from_the_image_repeated_up_to_the_size():
    given = conditions(SMALLER)
    condition = make_condition("image", (4, 4, 3), (2, 2, 3), encoder_blocks="4x1", residual=True)
    base = condition.read(lambda image: {}, 4, given).base
    np.testing.assert_allclose(
        base, given.repeat(2, axis=1).repeat(2, axis=2) / 127.5 - 1.0, atol=1e-6
    )


def test_a_residual_stage_starts_from_the_image_of_the_stage_before():
    first = tiny.first_stage()
    model = StagedVAE([first, tiny.next_stage([first], head="gaussian_floor", residual=True)])
    for weight in model.stages[1].head.weights:
        weight.assign(tf.zeros(weight.shape))
    images = tiny.random_images()
    np.testing.assert_array_equal(
        model.reconstruct(images, seed=2), first.reconstruct(images, seed=2)
    )
    copy = type(model).from_config(model.get_config())
    assert copy.stages[1].condition.is_residual and copy.head.is_residual


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"head": "logistic_mixture"}, "expected a head with means as parameters, got a Logistic"),
        ({**LABEL, "head": "gaussian"}, "expected an image of 3 channels as condition, got label"),
        ({"condition_shape": (4, 4, 1), "head": "gaussian"}, r"got image of shape \(4, 4, 1\)"),
    ],
)
def test_a_residual_needs_an_image_and_a_mean(arguments, says):
    with pytest.raises(UserError, match=says):
        ConditionalVDVAE(**tiny.ARGUMENTS | arguments, residual=True)
    with pytest.raises(UserError, match="expected a condition to add to"):
        small_vdvae((8, 8, 3), width=4, residual=True)
