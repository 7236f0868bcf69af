import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.layers.heads import HEADS, make_head

CASES = [
    ("logistic_mixture", 3, 8),
    ("logistic_mixture", 1, 5),
    ("logistic_mixture", 4, 2),
    ("linear", 3, 8),
    ("gaussian", 3, 8),
    ("gaussian", 2, 3),
    ("bernoulli", 1, 1),
    ("bernoulli", 3, 1),
]


def features_of(seed, shape=(2, 4, 6, 8)):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def images_of(seed, channels, shape=(2, 4, 6)):
    return np.random.default_rng(seed).integers(0, 256, (*shape, channels)).astype(np.uint8)


@pytest.mark.parametrize(("name", "channels", "bit_depth"), CASES)
def test_config_round_trip(name, channels, bit_depth):
    head = HEADS[name](channels, bit_depth, name="output", dtype="mixed_bfloat16")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert type(again) is type(head)
    assert again.get_config() == head.get_config()
    assert (again.channels, again.bit_depth, again.name) == (channels, bit_depth, "output")
    assert again.num_params == head.num_params


@pytest.mark.parametrize("name", HEADS)
def test_save_and_load(name, tmp_path):
    bit_depth = 1 if name == "bernoulli" else 8
    model = keras.Sequential([keras.Input((4, 6, 8)), make_head(name, 3, bit_depth)])
    assert model.output_shape == (None, 4, 6, model.layers[-1].num_params)
    model.save(tmp_path / "head.keras")
    again = keras.saving.load_model(tmp_path / "head.keras")
    np.testing.assert_array_equal(again(features_of(0)), model(features_of(0)))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16", "float16"])
@pytest.mark.parametrize("name", HEADS)
def test_parameters_and_likelihood_are_float32_under_any_policy(name, policy):
    bit_depth = 1 if name == "bernoulli" else 8
    head = make_head(name, 3, bit_depth, num_mixtures=2, dtype=policy)
    single = make_head(name, 3, bit_depth, num_mixtures=2)
    params, _ = head(features_of(0)), single(features_of(0))
    single.set_weights(head.get_weights())
    assert params.dtype == tf.float32
    assert all(weight.dtype == "float32" for weight in head.weights)
    np.testing.assert_array_equal(params, single(features_of(0)))
    if head.has_likelihood:
        nll = head.negative_log_likelihood(params, images_of(0, 3))
        assert nll.dtype == tf.float32
        expected = single.negative_log_likelihood(params, images_of(0, 3))
        np.testing.assert_array_equal(nll, expected)


@pytest.mark.parametrize("name", HEADS)
def test_a_traced_head_with_unknown_batch_gives_the_same(name):
    bit_depth = 1 if name == "bernoulli" else 8
    head = make_head(name, 3, bit_depth, num_mixtures=2)
    features = features_of(0)
    head(features)

    @tf.function(input_signature=[tf.TensorSpec([None, 4, 6, 8])])
    def traced(features):
        params = head(features)
        return head.mean(params), head.sample(params, seeded_noise(2))

    params = head(features)
    mean, sample = traced(features)
    np.testing.assert_allclose(mean, head.mean(params), rtol=1e-5, atol=1e-5)
    # A sample on the border between two levels may round to either.
    assert np.mean(sample == head.sample(params, seeded_noise(2))) > 0.99


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kind": "laplace"},
            "logistic_mixture, linear, gaussian, gaussian_floor, bernoulli, got 'laplace'",
        ),
        ({"kind": "gaussian", "bit_depth": 9}, "bit_depth: .* 1 to 8, got 9"),
        ({"kind": "linear", "bit_depth": 0}, "from 1 to 8, got 0"),
        ({"kind": "gaussian", "channels": 5}, "channels: .* 1 to 4, got 5"),
        ({"kind": "gaussian", "channels": 2.0}, "channels: .* 1 to 4, got 2.0"),
        ({"kind": "bernoulli", "bit_depth": 8}, "bit_depth=1 for the head bernoulli, got 8"),
        ({"kind": "logistic_mixture", "num_mixtures": 0}, "num_mixtures: .* at least 1, got 0"),
    ],
)
def test_wrong_arguments_say_what_was_expected_and_what_came(arguments, message):
    with pytest.raises(UserError, match=message) as caught:
        make_head(**arguments)
    assert "\n" not in str(caught.value)
