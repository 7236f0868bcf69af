"""The VDVAE: published sizes, arguments, Keras contract, `fit`."""

import json
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae.data import training_batches
from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.models import VDVAE, Posterior
from pcvae.training.graph_size import count_graph_nodes

pytestmark = pytest.mark.slow

SMALL = {
    "image_shape": (8, 8, 3),
    "encoder_blocks": "8x1,8d2,4x1,4d4,1x1",
    "decoder_blocks": "1x1,4m1,4x1,8m4,8x1",
    "width": 8,
    "latent_width": 2,
    "num_mixtures": 2,
}

TWO_RESOLUTIONS = {"encoder_blocks": "8d8,1x1", "decoder_blocks": "1x1,8m1"}


def small(**changes):
    return VDVAE(**{**SMALL, **changes})


def random_images(count, shape=(8, 8, 3), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def randomise(model, seed=0):
    for index, weight in enumerate(model.weights):
        weight.assign(0.2 * tf.random.stateless_normal(weight.shape, seed=(index, seed)))
    return model


def test_output_has_the_shapes_of_its_record():
    output = small()(random_images(3), keep_latents=True)
    assert output.head_params.shape == (3, 8, 8, 20)
    assert output.reconstruction.shape == (3, 8, 8, 3)
    assert [latent.shape[1] for latent in output.latents] == [1, 4, 4, 8, 8]
    assert output.rate_per_level.shape == (3, 5)
    assert output.nll.shape == (3,)


class Recorded(NamedTuple):
    """The plan of the posterior, which writes down the distributions of each level."""

    laws: list
    reads_evidence: bool = True

    def at(self, levels):
        return self

    def inputs(self):
        return ()

    def draw(self, site, prior, posterior, noise):
        self.laws.append([np.float64([law.mean(), law.stddev()]) for law in (prior, posterior)])
        return Posterior().draw(site, prior, posterior, noise)


def test_the_rate_of_a_level_is_the_divergence_of_its_gaussians():
    model, images, laws = randomise(small()), random_images(4), []
    model.trace(Recorded(laws), seeded_noise(0), images)
    rates = model(images).rate_per_level
    assert rates.shape[1] == len(laws)
    for level, ((mean_p, std_p), (mean_q, std_q)) in enumerate(laws):
        shift = (mean_q - mean_p) / std_p
        nats = np.log(std_p / std_q) + 0.5 * ((std_q / std_p) ** 2 + shift**2 - 1.0)
        np.testing.assert_allclose(rates[:, level], nats.sum(axis=(1, 2, 3)), rtol=1e-4)


def test_a_level_more_in_a_stack_is_a_call_more_each_way():
    def nodes(blocks):
        model = small(encoder_blocks="8d8,1x1", decoder_blocks=blocks)

        def step(images):
            with tf.GradientTape() as tape:
                output = model(images)
                loss = tf.reduce_mean(output.nll) + tf.reduce_mean(output.rate_per_level)
            return tape.gradient(loss, [weight.value for weight in model.weights])

        function = tf.function(step, autograph=False)
        return count_graph_nodes(function.get_concrete_function(random_images(2)).graph)

    assert nodes("1x2,8m1,8x20") == nodes("1x2,8m1,8x2") + 2 * 18


@pytest.mark.parametrize("changes", [{"unroll": True}, {"split_levels": (2, 4)}])
def test_layout_of_stacks_changes_neither_values_nor_gradients(changes):
    images, noise = random_images(2), seeded_noise(1)
    models = [randomise(small()), small(**changes)]
    by_level = [_weights_by_level(model) for model in models]
    for name, (variable, index) in by_level[1].items():
        source, at = by_level[0][name]
        value = variable.numpy()
        value[index] = source.numpy()[at]
        variable.assign(value)
    outputs, gradients = [], []
    for model, weights in zip(models, by_level, strict=True):
        with tf.GradientTape() as tape:
            output = model(images, noise=noise)
            loss = tf.reduce_sum(output.nll) + tf.reduce_sum(output.rate_per_level)
        variables = [weight.value for weight in model.weights]
        found = dict(
            zip(
                (weight.path for weight in model.weights),
                tape.gradient(loss, variables),
                strict=True,
            )
        )
        outputs.append(output)
        gradients.append({name: found[v.path].numpy()[i] for name, (v, i) in weights.items()})
    np.testing.assert_allclose(outputs[1].nll, outputs[0].nll, rtol=1e-5)
    np.testing.assert_allclose(outputs[1].rate_per_level, outputs[0].rate_per_level, rtol=1e-4)
    for name, gradient in gradients[0].items():
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(gradients[1][name], gradient, rtol=1e-3, atol=1e-4 * scale)


def _weights_by_level(model):
    """{name of a weight of one level or block: (variable, index)}; the rest under ``...``."""
    found = {}
    for part, groups in ((model.encoder, "first_block"), (model.decoder, "first_level")):
        for group, stack in zip(part.groups, part.stacks, strict=True):
            for name in stack.level_weight_names:
                for index in range(stack.count):
                    key = f"{part.name}/{getattr(group, groups) + index}/{name}"
                    found[key] = (stack.level_weight(name), index)
    stacked = {id(variable) for variable, _ in found.values()}
    rest = [weight for weight in model.weights if id(weight) not in stacked]
    return {**found, **{weight.path: (weight, ...) for weight in rest}}


def test_levels_above_the_last_latent_are_deterministic(eagerly):
    model = randomise(small(num_latent_levels=3))
    assert model.level_resolutions == (1, 4, 4)
    assert model.prefixes == (1, 3)
    assert model(random_images(2)).rate_per_level.shape == (2, 3)
    latents = model.encode(random_images(2))
    assert [latent.shape[1] for latent in latents] == [1, 4, 4]
    # Nothing is left to draw: neither a seed nor a temperature changes the image.
    decoded = model.decode(latents, seed=7, temperature=1.0)
    np.testing.assert_array_equal(decoded, model.reconstruct(random_images(2)))


def test_num_latent_levels_equal_to_all_is_the_published_model():
    every, published = small(num_latent_levels=5), small()
    assert every.decoder.groups == published.decoder.groups
    shapes = [{w.path: w.shape for w in model.weights} for model in (every, published)]
    assert shapes[0] == shapes[1]


def test_num_latent_levels_by_resolution():
    by_name, by_number = small(num_latent_levels="4x4"), small(num_latent_levels=3)
    assert [w.path for w in by_name.weights] == [w.path for w in by_number.weights]
    assert by_name.get_config()["num_latent_levels"] == "4x4"
    again = VDVAE.from_config(json.loads(json.dumps(by_name.get_config())))
    assert again.num_levels == 3


def test_prefix_decoders_see_their_prefix_alone():
    model = randomise(small(prefix_decoders=("4x4", 1)))
    images = random_images(3)
    output = model(images, keep_latents=True)
    assert list(output.prefix_reconstructions) == [1, 3]
    for decoder in model.prefix_decoders:
        reconstruction = output.prefix_reconstructions[decoder.num_levels]
        assert reconstruction.shape == (3, 8, 8, 3)
        prefix = output.latents[: decoder.num_levels]
        np.testing.assert_array_equal(reconstruction, decoder(prefix))
    assert model(images).latents == ()


def test_a_prefix_is_reconstructed_by_its_own_decoder_where_there_is_one(eagerly):
    model, images = randomise(small(prefix_decoders=(3,))), random_images(3)
    assert [model.decoder_of_prefix(k) for k in range(6)] == [*["prior"] * 3, "own", "prior", "own"]
    own = model.reconstruct(images, 3, seed=2, batch_size=2)
    np.testing.assert_array_equal(own, model.reconstruct(images, 3, seed=2, decoder="own"))
    latents = model.encode(images, seed=2)
    np.testing.assert_array_equal(own, model.decode(latents[:3]))
    expected = model(images, noise=seeded_noise(2)).prefix_reconstructions[3]
    pixels = np.clip((expected.numpy() + 1.0) * 127.5, 0.0, 255.0)
    assert np.abs(own - pixels).max() <= 0.5 + 1e-3
    prior = model.reconstruct(images, 3, seed=2, decoder="prior")
    np.testing.assert_array_equal(prior, model.decode(latents[:3], decoder="prior"))
    assert (own != prior).any()
    with pytest.raises(UserError, match="none of its own for 2 levels, only for 3, 5"):
        model.reconstruct(images, 2, decoder="own")
    with pytest.raises(UserError, match="decoder: expected own or prior, got 'best'"):
        model.decode(latents, decoder="best")


def test_prefix_decoders_change_nothing_else():
    plain, model = randomise(small()), small(prefix_decoders=(3,))
    for name, weight in plain.named_weights.items():
        model.named_weights[name].assign(weight)
    output, expected = model(random_images(2)), plain(random_images(2))
    assert expected.prefix_reconstructions == {}
    np.testing.assert_array_equal(output.nll, expected.nll)
    np.testing.assert_array_equal(output.rate_per_level, expected.rate_per_level)
    new = model.named_weights.keys() - plain.named_weights.keys()
    assert new and all(name.startswith("prefix_decoder_003/") for name in new)


def test_a_prefix_decoder_trains_the_levels_of_its_prefix_alone():
    model = randomise(small(prefix_decoders=(1,)))
    with tf.GradientTape() as tape:
        reconstruction = model(random_images(2)).prefix_reconstructions[1]
        loss = tf.reduce_mean(tf.square(reconstruction))
    names = list(model.named_weights)
    variables = [model.named_weights[name].value for name in names]
    reached = {
        name
        for name, gradient in zip(names, tape.gradient(loss, variables), strict=True)
        if gradient is not None
    }
    parts = {"/".join(name.split("/")[:2]) for name in reached if name.startswith("decoder/")}
    assert parts == {"decoder/bias_001", "decoder/levels_000"}
    assert {name for name in names if name.startswith("prefix_decoder_001/")} <= reached


def test_the_output_with_prefixes_passes_through_a_graph():
    blocks = {"encoder_blocks": "8d8,1x1", "decoder_blocks": "1x2,8m1"}
    model, images = randomise(small(**blocks, prefix_decoders=(1, 2))), random_images(2)
    output = tf.function(model, autograph=False)(images).prefix_reconstructions
    assert list(output) == [1, 2]
    for length, expected in model(images).prefix_reconstructions.items():
        np.testing.assert_allclose(output[length], expected, rtol=1e-4, atol=1e-5)


def test_a_config_of_before_prefix_decoders_still_loads():
    config = small().get_config()
    del config["prefix_decoders"]
    assert VDVAE.from_config(config).prefix_decoders == []


def test_config_round_trip_through_json():
    model = small(
        width_per_resolution={4: 10, 1: 12}, bit_depth=5, split_levels=(2,), prefix_decoders="4x4"
    )
    config = json.loads(json.dumps(model.get_config()))
    again = VDVAE.from_config(config)
    assert again.get_config() == model.get_config()
    assert [w.path for w in again.weights] == [w.path for w in model.weights]


def test_half_precision_agrees_with_float32():
    exact, low = randomise(small()), small(dtype="mixed_float16")
    for old, new in zip(exact.weights, low.weights, strict=True):
        new.assign(old)
    images = random_images(4)
    expected, output = exact(images), low(images)
    assert output.rate_per_level.dtype == output.nll.dtype == tf.float32
    np.testing.assert_allclose(output.nll, expected.nll, rtol=0.05)
    total = tf.reduce_sum(expected.rate_per_level, axis=1)
    np.testing.assert_allclose(tf.reduce_sum(output.rate_per_level, axis=1), total, rtol=0.1)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("head", ["logistic_mixture", "linear", "gaussian"])
def test_every_head_speaks_for_images_of_every_channel_count(head, channels, eagerly):
    model = small(image_shape=(8, 8, channels), head=head, **TWO_RESOLUTIONS)
    samples = model.sample(2)
    assert samples.shape == (2, 8, 8, channels) and samples.dtype == np.uint8
    output = model(samples)
    np.testing.assert_array_equal(output.reconstruction, model.head.mean(output.head_params))
    if head == "linear":
        assert output.nll is None
    else:
        nll = model.head.negative_log_likelihood(output.head_params, samples)
        np.testing.assert_array_equal(output.nll, nll)


def test_samples_of_one_bit_are_black_and_white(eagerly):
    model = small(head="bernoulli", bit_depth=1, **TWO_RESOLUTIONS)
    assert set(np.unique(model.sample(4))) == {0, 255}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_shape": (16, 16, 3)}, "16x16.*encoder_blocks.* 8"),
        ({"image_shape": (8, 4, 3)}, r"image_shape: .*\(8, 4, 3\)"),
        ({"decoder_blocks": "1x1,4m1"}, "decoder_blocks.* 4 .*encoder_blocks.* 8"),
        ({"decoder_blocks": "1x1,2m1,8m2"}, "decoder_blocks.* 2,.*encoder_blocks"),
        ({"width": 0}, "width: .*got 0"),
        ({"bottleneck": 0.1}, "bottleneck: .*got 0 for .* 8 channels"),
        ({"bottleneck": -0.5}, "bottleneck: .*got -4"),
        ({"head": "gauss"}, "logistic_mixture.*got 'gauss'"),
        ({"bit_depth": 9}, "bit_depth.*got 9"),
        ({"num_latent_levels": 9}, "num_latent_levels: .*got 9"),
        ({"num_latent_levels": "2x2"}, "num_latent_levels: .*got '2x2'.*'4x4' = 3"),
        ({"prefix_decoders": ("2x2",)}, "prefix_decoders: .*got '2x2'"),
        ({"prefix_decoders": (1, "8x8")}, r"prefix_decoders: .* 5 levels.*\(1, '8x8'\)"),
        ({"prefix_decoders": (1, 3), "num_latent_levels": 3}, r"prefix_decoders: .* 3 levels"),
        ({"prefix_decoders": ("4x4", 3)}, "prefix_decoders: .* 3 levels .*twice"),
    ],
)
def test_arguments_that_do_not_fit_are_one_line(changes, message):
    with pytest.raises(UserError, match=message) as error:
        small(**changes)
    assert "\n" not in str(error.value)


LOGS = {"loss", *(f"{name}_bits_per_dim" for name in ("negative_elbo", "nll", "rate"))}


@pytest.fixture(scope="module")
def compiled():
    """A compiled model of three stacks, for `fit` and `evaluate`; its steps are traced once."""
    model = small(**TWO_RESOLUTIONS)
    randomise(model).compile(optimizer=keras.optimizers.Adamax(3e-2))
    return model


def test_fit_minimises_the_negative_elbo_and_reports_its_parts(compiled):
    images = np.tile(np.arange(8, dtype=np.uint8)[:, None, None] * 30, (15, 1, 8, 3))
    history = compiled.fit(images, batch_size=8, epochs=9, verbose=0).history
    assert set(history) == LOGS
    total = history["negative_elbo_bits_per_dim"]
    parts = np.add(history["nll_bits_per_dim"], history["rate_bits_per_dim"])
    np.testing.assert_allclose(total, parts, rtol=1e-5)
    np.testing.assert_allclose(history["loss"], np.multiply(total, np.log(2.0)), rtol=1e-5)
    assert total[-1] < 0.8 * total[0]
    evaluated = compiled.evaluate(images, batch_size=8, verbose=0, return_dict=True)
    assert evaluated["negative_elbo_bits_per_dim"] < total[0]


def test_fit_takes_the_batches_of_training(compiled, eagerly):
    batches = training_batches(random_images(6), batch_size=2, seed=0, num_steps=3)
    history = compiled.fit(batches, epochs=1, verbose=0).history
    assert set(history) == LOGS
    compiled.evaluate(batches, verbose=0)
    with pytest.raises(UserError, match="a batch with 'images', got pictures"):
        compiled.fit(batches.map(lambda batch: {"pictures": batch["images"]}), verbose=0)


@pytest.mark.parametrize(
    ("images", "got"),
    [
        (np.zeros((4, 8, 8, 3), np.float32), r"got float32 \[.*, 8, 8, 3\]"),
        (np.zeros((4, 8, 8, 1), np.uint8), r"got uint8 \[.*, 8, 8, 1\]"),
        (np.zeros((4, 8, 8), np.uint8), r"got uint8 \["),
    ],
)
def test_images_of_another_type_or_shape_are_one_line(images, got):
    model = small()
    model.compile(optimizer="adam")
    step = tf.function(model, autograph=False)
    keras_loops = (lambda x: model.fit(x, verbose=0), lambda x: model.evaluate(x, verbose=0))
    for use in (model, step, *keras_loops):
        with pytest.raises(UserError, match=r"expected uint8 \[batch, 8, 8, 3\].*" + got) as error:
            use(images)
        assert "\n" not in str(error.value)


def test_fit_with_the_linear_head_names_the_remedy():
    model = small(head="linear")
    model.compile(optimizer="adam")
    with pytest.raises(UserError, match="likelihood"):
        model.fit(random_images(4), verbose=0)
