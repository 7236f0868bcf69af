"""The VDVAE equals the published reference (openai/vdvae), number by number."""

import json

import numpy as np
import pytest
import tensorflow as tf

from pcvae import units
from pcvae.errors import UserError
from pcvae.models import LATENT, VDVAE, Posterior, Prior, load_reference_weights
from pcvae.models.reference_weights import reference_names
from tests.models.numpy_reference import Reference
from tests.models.reference_golden import GivenNoise, given, read_golden, vdvae_of, weights_of

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4  # relative to the largest number of an array


# {golden: how its levels are laid out}; that layouts give the same is tested in test_vdvae.py.
LAYOUTS = {"small": {}, "wide": {"unroll": True, "split_levels": (2, 6)}}


@pytest.fixture(scope="module", params=LAYOUTS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def golden(name):
    return read_golden(name)


def build(golden, **arguments):
    side = json.loads(str(golden["meta"]))["image_size"]
    model = vdvae_of(golden, image_shape=(side, side, 3), **arguments)
    load_reference_weights(model, weights_of(golden))
    return model


@pytest.fixture(scope="module")
def model(name, golden):
    return build(golden, **LAYOUTS[name])


def assert_close(actual, expected):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE * scale)


def test_number_of_parameters_and_levels(model, golden):
    meta = json.loads(str(golden["meta"]))
    assert model.count_params() == meta["num_parameters"]
    assert model.num_levels == meta["num_levels"]


def test_posterior_pass(model, golden):
    activations = model.encoder(golden["images"])
    for side, activation in activations.items():
        assert_close(activation, golden[f"expected/activations/{side}"])
    noise = given(golden, "posterior_noise")
    run = tf.function(
        lambda: model.decoder.walk(2, Posterior(), noise, activations, keep=(LATENT,))
    )
    decoded = run()
    for index, latent in enumerate(decoded.latents):
        assert_close(latent, golden[f"expected/latent/{index:03d}"])
    assert_close(decoded.rate_per_level, golden["expected/rate_per_level_nats"])
    assert_close(decoded.features, golden["expected/features"])
    params = model.head(decoded.features)
    assert_close(params, golden["expected/head_params"])

    target = units.images_from_levels(units.levels_from_signed(golden["target"], 8), 8)
    np.testing.assert_allclose(
        units.signed_from_levels(target, 8), golden["target"], atol=1e-6, rtol=0
    )
    nll = units.nats_per_dim(model.head.negative_log_likelihood(params, target), (16, 16, 3))
    assert_close(nll, golden["expected/nll_nats_per_dim"])
    rate = units.nats_per_dim(tf.reduce_sum(decoded.rate_per_level, axis=1), (16, 16, 3))
    assert_close(tf.reduce_mean(rate), golden["expected/rate_nats_per_dim"])
    assert_close(tf.reduce_mean(nll + rate), golden["expected/negative_elbo_nats_per_dim"])


@pytest.mark.parametrize(
    "arguments",
    [
        {
            "image_shape": (24, 24, 3),
            "encoder_blocks": "24x1,24d2,12x2,12d3,4,4d4,1x2",
            "decoder_blocks": "1x2,4m1,4,12m4,12x2,24m12",
            "width": 8,
            "width_per_resolution": "12:12,4:16,1:20",
            "latent_width": 5,
            "bottleneck": 0.25,
            "num_mixtures": 4,
            "no_bias_above": 8,
        },
        {
            "image_shape": (16, 16, 3),
            "encoder_blocks": "16x2,16d4,4x1,4d2,2x1",
            "decoder_blocks": "2x1,4m2,4x1,4m2,16m4,16m2",
            "width": 8,
            "width_per_resolution": "",
            "latent_width": 3,
            "bottleneck": 0.5,
            "num_mixtures": 3,
            "no_bias_above": 64,
        },
    ],
    ids=["thirds", "skips"],
)
def test_other_layer_strings_agree_with_numpy(arguments, eagerly):
    """Factors other than 2, widths by resolution, and blocks that come from far below."""
    reference, random = Reference(arguments, seed=0), np.random.default_rng(1)
    model = VDVAE(**arguments)
    load_reference_weights(model, reference.weights)
    images = random.integers(0, 256, (2, *arguments["image_shape"])) / 127.5 - 1.0
    noise = tuple(random.normal(size=(2, *shape)).astype("f4") for shape in model.latent_shapes)
    activations = model.encoder(images.astype(np.float32))
    decoded = model.decoder.walk(2, Posterior(), GivenNoise(noise), activations)
    rates, params = reference.posterior_pass(images, noise)
    assert_close(decoded.rate_per_level, rates)
    assert_close(model.head(decoded.features), params)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_prior_pass(model, golden, temperature):
    noise = given(golden, "prior_noise")
    temperatures = np.full(model.num_levels, temperature, np.float32)
    run = tf.function(lambda: model.decoder.walk(2, Prior(temperatures), noise))
    assert_close(run().features, golden[f"expected/prior_features/t{temperature}"])


def test_every_weight_has_one_name(model, golden):
    sizes = {
        name: part.variable[0].numpy().size
        if part.index is not None
        else np.prod(part.variable.shape)
        for name, part in reference_names(model).items()
    }
    assert sizes == {name: array.size for name, array in weights_of(golden).items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("decoder.gain"), "1 missing: decoder.gain"),
        (lambda w: w.update(extra=np.zeros(1)), "1 unexpected: extra"),
        (
            lambda w: w.update({"decoder.dec_blocks.3.z_proj.weight": np.zeros((24, 5, 1, 1))}),
            r"1 of another shape: decoder\.dec_blocks\.3\.z_proj\.weight \[24, 5, 1, 1\] ",
        ),
        (lambda w: w.update({"decoder.gain": np.zeros(())}), r"decoder.gain \[\] instead of \[1, "),
        (
            lambda w: w["encoder.in_conv.bias"].fill(np.inf),
            "finite numbers in encoder.in_conv.bias",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named_and_nothing_is_loaded(golden, change, message):
    model = build(golden)
    before = [weight.numpy() for weight in model.weights]
    weights = {name: array + 1.0 for name, array in weights_of(golden).items()}
    change(weights)
    with pytest.raises(UserError, match=message):
        load_reference_weights(model, weights)
    for old, weight in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())
