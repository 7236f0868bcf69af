"""A diffusion model as a hierarchy: its walk, its prefixes, and its training by one level."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae import models, objectives, units
from pcvae.distributions.noise import SeededNoise, seeded_noise
from pcvae.errors import UserError
from pcvae.export.operations import OPERATIONS
from pcvae.models import DDPM
from pcvae.models.one_level import STATE_SITE, STEP_SITE
from pcvae.tracing import nodes_of
from pcvae.training.graph_size import count_graph_nodes
from tests.conformance.models import DENOISER
from tests.models import tiny

BETAS = (0.05, 0.3, 0.1, 0.6)
LEVELS = len(BETAS)


class ConstantDDPM(DDPM):
    """A model whose estimate is one grey image, so that nothing hangs on what is drawn."""

    def unclipped_estimate(self, x, step):
        return tf.fill(tf.shape(x), 0.25)


def make(**changes):
    given = {"betas": BETAS, **DENOISER, **changes}
    return tiny.random_weights(DDPM(tiny.IMAGE_SHAPE, **given))


def signed(images):
    return units.signed_from_levels(images, 8).numpy()


@pytest.mark.parametrize(("variance", "predicts"), [("lower", "noise"), ("upper", "velocity")])
def test_the_rates_of_a_walk_are_the_closed_form_and_tell_the_error_of_every_prefix(
    variance, predicts, eagerly
):
    model = make(variance=variance, predicts=predicts)
    images, noise = tiny.random_images(), seeded_noise(3)
    output = model(images, noise, keep_latents=True)
    errors = []
    for length, latent in enumerate(output.latents, 1):
        estimate = model.estimate(latent, tf.constant(LEVELS - length + 1))
        errors.append(np.square(signed(images) - estimate).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(np.stack(errors, axis=1), output.prefix_mse, rtol=1e-3)
    schedule, errors = model.schedule, np.stack(errors[-2::-1], axis=1)  # of t = 2 ... T
    rates = 0.5 * (schedule.snr[:-1] - schedule.snr[1:]) * errors
    if variance == "upper":
        ratio = schedule.posterior_variances[1:] / schedule.betas[1:]
        rates = 0.5 * (ratio - 1.0 - np.log(ratio)) + ratio * rates
    rates *= units.num_dims(tiny.IMAGE_SHAPE)
    np.testing.assert_allclose(output.rate_per_level[:, :0:-1], rates, rtol=1e-3)


def test_training_by_one_level_is_right_on_average(eagerly):
    """T times what the walk has, at the level that is drawn; every level is as likely."""
    model = ConstantDDPM(tiny.IMAGE_SHAPE, betas=BETAS, **DENOISER)
    images = np.repeat(tiny.random_images(1), 400, axis=0)
    whole = model(images[:1])
    output = model(images, training=True)
    rates, nll = output.rate_per_level.numpy(), output.nll.numpy()
    np.testing.assert_allclose(rates[:, 0], whole.rate_per_level[0, 0], rtol=1e-5)
    drawn = [*(rates[:, 1:] > 0.0).T, nll > 0.0]
    assert (np.sum(drawn, axis=0) == 1).all()
    assert all(abs(there.sum() - 100) < 40 for there in drawn)  # over four standard deviations
    for level, there in enumerate(drawn[:-1], 1):
        expected = LEVELS * whole.rate_per_level[0, level]
        np.testing.assert_allclose(rates[there, level], expected, rtol=1e-4)
    np.testing.assert_allclose(nll[drawn[-1]], LEVELS * whole.nll[0], rtol=1e-5)


def test_what_an_example_draws_in_training_does_not_hang_on_its_batch(eagerly):
    model, images = make(), tiny.random_images(4)
    whole = model(images, seeded_noise(1), training=True)
    rest = model(
        images[2:], SeededNoise(seeded_noise(1).seed, tf.constant(2, tf.int64)), training=True
    )
    np.testing.assert_allclose(rest.rate_per_level, whole.rate_per_level[2:], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(rest.drawn_level.estimate, whole.drawn_level.estimate[2:], atol=1e-4)


@pytest.mark.parametrize("predicts", ["noise", "velocity"])
def test_the_loss_is_the_error_of_what_the_network_predicts(predicts, eagerly):
    """With no kernel at its end the network predicts its last bias."""
    model = DDPM(tiny.IMAGE_SHAPE, betas=BETAS, predicts=predicts, **DENOISER)
    model.denoiser.exit.bias.assign([0.5] * 3)
    images, noise = tiny.random_images(), seeded_noise(5)
    output = model(images, noise, training=True)
    there = noise.normal(STATE_SITE, images.shape).numpy()
    step = 1 + (noise.uniform(STEP_SITE, (len(images), 1)).numpy()[:, 0] * LEVELS).astype(int)
    abar = model.schedule.abar[step - 1, None, None, None]
    if predicts == "velocity":
        there = np.sqrt(abar) * there - np.sqrt(1.0 - abar) * signed(images)
    loss = objectives.Denoising(predicts)(output, images, 0).loss
    np.testing.assert_allclose(loss, np.square(there - 0.5).mean(axis=(1, 2, 3)), rtol=1e-4)
    of_image = objectives.Denoising("image")(output, images, 0).loss
    weight = model.schedule.snr[step - 1] + (predicts == "velocity")
    np.testing.assert_allclose(of_image * weight, loss, rtol=1e-5)


def test_a_prefix_is_decoded_by_the_estimate_of_its_last_latent(eagerly):
    model, images = make(), tiny.random_images()
    latents = model.encode(images, seed=2)
    for length in range(1, LEVELS + 1):
        estimate = model.estimate(latents[length - 1], tf.constant(LEVELS - length + 1))
        expected = units.images_from_signed(estimate)
        np.testing.assert_array_equal(model.decode(latents[:length]), expected)
        np.testing.assert_array_equal(model.reconstruct(images, length, seed=2), expected)


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["prior", "posterior"])
def test_the_graph_of_a_walk_does_not_grow_and_can_be_exported(plan):
    """It is made of what an export may hold, and as large for many levels as for few."""

    def nodes(num_levels):
        model = DDPM(tiny.IMAGE_SHAPE, num_levels=num_levels, schedule="log_snr", **DENOISER)

        @tf.function(autograph=False)
        def walk(images):
            if plan == "posterior":
                return model(images).rate_per_level
            return model.draw(models.Prior(tf.ones(num_levels)), seeded_noise(0), num_images=2)

        spec = tf.TensorSpec((None, *tiny.IMAGE_SHAPE), tf.uint8)
        graph = walk.get_concrete_function(spec).graph
        assert {node.op for node in nodes_of(graph.as_graph_def())} <= OPERATIONS
        return count_graph_nodes(graph)

    assert nodes(3) == nodes(30)


@pytest.mark.slow
def test_a_thousand_levels_are_measured():
    """Their posterior waits for no network: all of it might run at once."""
    model, images = make(betas=None, num_levels=1000), tiny.random_images(2)
    output = tf.function(model, autograph=False)(tf.constant(images))
    assert output.rate_per_level.shape == (2, 1000)
    assert np.isfinite(output.rate_per_level).all() and np.isfinite(output.nll).all()


def test_a_thousand_levels_are_shown_as_ten():
    model = make(betas=None, num_levels=1000)
    assert model.prefixes == tuple(range(100, 1001, 100))
    assert list(dict.fromkeys(model.level_groups))[1] == "100-199"


def test_estimates_are_clipped_but_still_drawn_back():
    model = make()
    x = tf.Variable(tf.fill((1, 4, 4, 3), 30.0))
    with tf.GradientTape() as tape:
        estimate = model.clipped(x)
    assert (estimate.numpy() == 1.0).all()
    np.testing.assert_array_equal(tape.gradient(estimate, x), tf.ones_like(x))
    assert make(clip=False).clipped(x) is x


@pytest.mark.slow
def test_a_diffusion_model_may_be_the_first_stage(eagerly):
    first = make(name="first_stage")
    model = models.StagedVAE([first, tiny.next_stage([first], head="gaussian")])
    model.freeze_stages(1)
    images = tiny.random_images()
    output = model(images)
    own = first(images)
    np.testing.assert_allclose(output.rate_per_level[:, :LEVELS], own.rate_per_level, rtol=1e-5)
    np.testing.assert_allclose(output.stage_reconstructions[LEVELS], own.reconstruction, atol=1e-5)
    in_training = model(images, training=True)
    np.testing.assert_allclose(in_training.rate_per_level, output.rate_per_level, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variance": "learned"}, "variance: expected one of lower, upper, got 'learned'"),
        ({"betas": (0.1, 2.0)}, "betas: expected one number above 0 and below 1"),
        ({"schedule": "log_snr"}, "schedule: expected none beside betas, got 'log_snr'"),
        ({"clip": "no"}, "clip: expected True or False, got 'no'"),
        ({"frozen": "denoiser"}, "freeze: expected a list of names of weights, got 'denoiser'"),
        ({"frozen": 3}, "freeze: expected a list of names of weights, got 3"),
        ({"width": 4 * 10**7}, r"a denoiser with width=40000000, .* give a smaller width"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(UserError, match=message) as raised:
        make(**changes)
    assert "\n" not in str(raised.value)


def test_images_that_are_not_square_are_refused():
    with pytest.raises(UserError, match=r"image_shape: expected square images, got \(4, 8, 3\)"):
        DDPM((4, 8, 3), betas=BETAS, **DENOISER)


@pytest.mark.parametrize(
    ("objective", "name"),
    [
        (objectives.ConstrainedRate(rate_target_nats_per_dim=0.1), "ConstrainedRate"),
        (objectives.ConstrainedDistortion(distortion_target_mse=0.1), "ConstrainedDistortion"),
        (objectives.ProgressiveCoding(rate_targets_nats_per_dim=[0.1]), "ProgressiveCoding"),
    ],
)
def test_objectives_that_move_rates_are_refused(objective, name, eagerly):
    output = make()(tiny.random_images(1), training=True)
    with pytest.raises(UserError, match=f"{name} needs a model whose posterior is learned"):
        objective(output, tiny.random_images(1), 0)


def test_denoising_is_refused_for_other_models(eagerly):
    images = tiny.random_images(1)
    output = tiny.vdvae()(images, training=True)
    with pytest.raises(UserError, match="Denoising trains models that draw one level"):
        objectives.Denoising()(output, images, 0)
