"""What a model computes fits together, whatever the model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae import models, units
from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.measure import level_table
from tests.conformance.models import ENTRIES

# Most promises are not of the graph: op by op their tests take a fraction of the time.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eagerly")]


def test_every_class_of_the_registry_is_held_to_the_promises():
    covered = {type(entry.make()).__name__ for entry in ENTRIES.values()}
    # The decoders of prefixes are no model of images: they are held in tests/models/test_readouts.
    assert covered == models.registered_models().keys() - {"PrefixDecoders"}


@pytest.mark.parametrize("name", sorted(models.registered_models().keys() - {"StagedVAE"}))
@pytest.mark.parametrize("shape", [(8, 8), 8, "8x8", (-8, -8, 3), (0, 0, 3), (8, 8, 3.5)])
def test_a_shape_that_no_image_has_is_refused(name, shape):
    needed = {"PrefixDecoders": {"prefixes": (1,)}}
    with pytest.raises(UserError, match="image_shape: expected .height, width, channels."):
        models.registered_models()[name](image_shape=shape, **needed.get(name, {}))


def test_rates_are_those_of_the_method_and_exact_ones_are_not_negative(case):
    output = case.model(case.images, seeded_noise(2), **case.given)
    rates = output.rate_per_level.numpy()
    assert rates.shape == (len(case.images), case.model.num_levels)
    assert (rates >= 0).all() or not case.model.rates_of_prefixes_are_exact
    np.testing.assert_allclose(
        case.model.rate_per_level(case.images, seed=2, **case.given), rates, rtol=1e-5, atol=1e-5
    )


def test_rate_maps_sum_to_the_rates(case):
    maps = case.model.rate_maps(case.images, seed=2, **case.given)
    sums = [values.reshape(len(case.images), -1).sum(axis=1) for values in maps]
    rates = case.model.rate_per_level(case.images, seed=2, **case.given)
    np.testing.assert_allclose(np.stack(sums, axis=1), rates, rtol=1e-4, atol=1e-5)


def test_the_posterior_walk_is_its_pieces_written_out(case):
    """Level by level from Python, each latent given to the next walk: the same numbers."""
    model, noise, means = case.model, seeded_noise(1), tf.zeros(case.model.num_levels)
    condition = case.given.get("condition")
    keep = (models.LATENT,)
    whole = model.trace(models.Posterior(), noise, case.images, condition, keep=keep)
    for num_levels in range(1, model.num_levels + 1):
        plan = models.posterior_prefix(num_levels, means)
        part = model.trace(plan, noise, case.images, condition, keep=keep)
        for latent, expected in zip(part.latents[:num_levels], whole.latents, strict=False):
            np.testing.assert_allclose(latent, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            part.rate_per_level[:, :num_levels],
            whole.rate_per_level[:, :num_levels],
            rtol=1e-4,
            atol=1e-5,
        )
        np.testing.assert_array_equal(part.rate_per_level[:, num_levels:], 0.0)
    given = models.Given(whole.latents, reads_evidence=True)
    again = model.trace(given, None, case.images, condition)
    np.testing.assert_allclose(again.rate_per_level, whole.rate_per_level, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(again.features, whole.features, rtol=1e-4, atol=1e-5)


def test_decoding_what_was_encoded_reconstructs(case):
    model = case.model
    latents = model.encode(case.images, seed=1, **case.given)
    assert [latent.shape[1:] for latent in latents] == list(model.latent_shapes)
    whole = model.reconstruct(case.images, seed=1, **case.given)
    assert whole.dtype == np.uint8 and whole.shape == case.images.shape
    np.testing.assert_array_equal(model.decode(latents, **case.given), whole)
    for num_levels in range(1, model.num_levels):
        options = {"decoder": "prior", "seed": 1, **case.given}
        prefix = model.reconstruct(case.images, num_levels, **options)
        np.testing.assert_array_equal(model.decode(latents[:num_levels], **options), prefix)


def test_an_edit_that_changes_nothing_changes_nothing(case):
    model, given = case.model, case.given
    latents = model.encode(case.images, seed=1, **given)
    whole = model.reconstruct(case.images, seed=1, **given)
    for source in ("given", "posterior"):
        sources = [source] * model.num_levels
        edited = model.edit(case.images, latents, sources, seed=1, **given)
        np.testing.assert_array_equal(edited, whole)
    sources = ["posterior", *["prior"] * (model.num_levels - 1)]
    edited = model.edit(case.images, latents, sources, seed=1, **given)
    prefix = model.reconstruct(case.images, 1, seed=1, decoder="prior", **given)
    np.testing.assert_array_equal(edited, prefix)


def test_the_noise_of_latents_makes_them_again(case):
    latents = case.model.encode(case.images, seed=1, **case.given)
    noise = case.model.noise_of(latents, **case.given)
    for actual, expected in zip(case.model.latents_of(noise, **case.given), latents, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)


def test_sampling_some_and_then_more_equals_sampling_all(case):
    condition = case.given.get("condition")

    def sample(first, count):
        own = {} if condition is None else {"condition": condition[first : first + count]}
        return case.model.sample(count, 0.8, seed=3, first_sample=first, **own)

    np.testing.assert_array_equal(np.concatenate([sample(0, 2), sample(2, 3)]), sample(0, 5))


def test_eagerly_it_gives_the_numbers_of_the_graph(case):
    def run():
        output = case.model(case.images, seeded_noise(4), **case.given)
        return output.rate_per_level, output.reconstruction

    for one, other in zip(run(), tf.function(run, autograph=False)(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_negative_elbo_of_evaluate_is_nll_and_rates(case):
    model = case.model
    output = model(case.images, **case.given)
    model.compile(optimizer="sgd")
    parts = (case.images, *case.given.values())
    data = tf.data.Dataset.from_tensor_slices(parts).batch(len(case.images))
    if not model.head.has_likelihood:
        assert output.nll is None
        with pytest.raises(UserError, match="likelihood, got LinearHead"):
            model.evaluate(data, verbose=0)
        return
    nats = output.nll + units.sum_per_example(output.rate_per_level)
    logs = model.evaluate(data, verbose=0, return_dict=True)
    expected = np.mean(units.bits_per_dim(nats, model.image_shape))
    assert logs["negative_elbo_bits_per_dim"] == pytest.approx(expected, rel=1e-5)


def test_the_level_table_adds_up(case):
    stages = case.model.describe()
    assert sum(stage.num_levels for stage in stages) == case.model.num_levels
    numbers = [sum(stage.num_params.values()) for stage in stages]
    assert sum(numbers) == sum(weight.shape.num_elements() for weight in case.model.weights)
    latents = sum(row.num_latents for stage in stages for row in stage.rows)
    assert latents == sum(int(np.prod(shape)) for shape in case.model.latent_shapes)
    assert f"{sum(numbers):,} parameters" in level_table(case.model)


def test_low_precision_stays_near(case):
    """Rates and images of a bfloat16 model are those of float32 within its eight bits."""
    expected = case.model(case.images, **case.given)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        low = ENTRIES[case.name].make()
    finally:
        keras.config.set_dtype_policy("float32")
    output = low(case.images, **case.given)
    assert output.rate_per_level.dtype == output.reconstruction.dtype == tf.float32
    total, near = (units.sum_per_example(o.rate_per_level) for o in (expected, output))
    np.testing.assert_allclose(near, total, rtol=0.1)
    assert np.abs(output.reconstruction - expected.reconstruction).mean() < 0.1
