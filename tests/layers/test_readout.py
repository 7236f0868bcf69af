"""The decoder of a prefix: shapes, what it depends on, its form, its configuration."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.layers import Given, Readout, TopDown

ARGUMENTS = {
    "blocks": "1x1,4m1,4x2,8m4,8x1",
    "width": 6,
    "width_per_resolution": "4:8,1:10",
    "latent_width": 2,
}
SIDES = (1, 4, 4, 4, 8, 8)


def build(num_latent_levels, randomly=True, **changes):
    decoder = Readout(num_latent_levels=num_latent_levels, **{**ARGUMENTS, **changes})
    decoder.build()
    if randomly:
        for index, weight in enumerate(decoder.weights):
            weight.assign(0.3 * tf.random.stateless_normal(weight.shape, seed=(index, 5)))
    return decoder


def latents(count, batch=3):
    return tuple(
        tf.random.stateless_normal((batch, side, side, 2), seed=(level, 1))
        for level, side in enumerate(SIDES[:count])
    )


@pytest.mark.parametrize("length", [1, 2, 3, 4, 6, "4x4", "8x8"])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_prefix_gives_an_image(length, channels):
    decoder = build(length, channels=channels)
    reconstruction = decoder(latents(decoder.num_levels))
    assert reconstruction.shape == (3, 8, 8, channels)
    assert reconstruction.dtype == tf.float32
    assert np.abs(reconstruction).max() <= 1.0


@pytest.mark.parametrize("length", [1, 3, 5])
def test_it_depends_on_every_latent_of_its_prefix_and_on_no_other(length):
    decoder, given = build(length), latents(6)
    with tf.GradientTape() as tape:
        tape.watch(given)
        loss = tf.reduce_sum(decoder(given) ** 2)
    gradients = tape.gradient(loss, given)
    for level, gradient in enumerate(gradients):
        assert (gradient is not None and np.abs(gradient).max() > 0) == (level < length)


def test_too_few_latents_are_refused():
    with pytest.raises(ValueError, match="expected 4 latents or more, got 3"):
        build(4)(latents(3))


def test_no_example_sees_another():
    decoder, given = build(4), latents(4)
    alone = decoder([latent[1:2] for latent in given])
    np.testing.assert_allclose(alone, decoder(given)[1:2], atol=1e-6)


def test_a_loop_over_levels_equals_levels_written_out():
    given, decoder, unrolled = latents(4), build(4), build(4, unroll=True)
    np.testing.assert_allclose(unrolled(given), decoder(given), atol=1e-6)


def test_it_is_the_first_stage_decoder_without_prior_and_posterior():
    """Equal to a `TopDown` of the same prefix whose weights it shares, at given latents."""
    stage = TopDown(**ARGUMENTS, num_latent_levels=3)
    stage.build()
    for index, weight in enumerate(stage.weights):
        weight.assign(0.3 * tf.random.stateless_normal(weight.shape, seed=(index, 9)))
    decoder = build(3)
    for old, new in zip(stage.stacks, decoder.stacks, strict=True):
        for name in new.level_weight_names:
            value = old.level_weight(name).numpy()
            wanted = new.level_weight(name).shape
            # Of the prior's outputs (mean, log std, residual) the residual stays.
            new.level_weight(name).assign(value[..., -wanted[-1] :])
    for side, bias in stage.biases.items():
        decoder.biases[side].assign(bias)
    decoder.gain.assign(stage.gain)
    decoder.bias.assign(stage.bias)
    given = latents(3)
    features = stage.walk(len(given[0]), Given(tuple(given)), noise=None).features
    expected = decoder.head.mean(decoder.head(features))
    np.testing.assert_allclose(decoder(given), expected, atol=1e-5)


@pytest.mark.parametrize("length", [2, "4x4"])
def test_config_round_trip(length):
    decoder = build(length, channels=1, no_bias_above=4)
    again = Readout.from_config(decoder.get_config())
    again.build()
    assert again.get_config() == decoder.get_config()
    assert [w.path for w in again.weights] == [w.path for w in decoder.weights]
    assert [w.shape for w in again.weights] == [w.shape for w in decoder.weights]


def test_low_precision_agrees_with_float32():
    decoder, low = build(4), build(4, dtype="mixed_bfloat16")
    assert low(latents(4)).dtype == tf.float32
    np.testing.assert_allclose(low(latents(4)), decoder(latents(4)), atol=0.1)


def test_an_unknown_prefix_is_a_user_error():
    with pytest.raises(UserError, match="expected 1..6, got 7"):
        Readout(num_latent_levels=7, **ARGUMENTS)
