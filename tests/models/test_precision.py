"""bfloat16 for convolutions, float32 for all that is added up: streams, Gaussians, rates, head."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae import models, objectives, training
from pcvae.distributions.noise import seeded_noise
from pcvae.errors import UserError
from pcvae.layers.residual import BottleneckBlock
from pcvae.layers.stack import Stack
from pcvae.tracing import nodes_of
from tests.models import tiny

LOW = "mixed_bfloat16"
_PRODUCTS = ("Conv2D", "MatMul", "BatchMatMulV2")


@pytest.fixture(scope="module")
def low():
    return tiny.vdvae(dtype=LOW, prefix_decoders=(1,))


def test_convolutions_are_bfloat16_and_the_head_is_float32(low):
    def params(images):
        return low.head(low.trace(models.Posterior(), seeded_noise(0), images).features)

    images = tf.constant(tiny.random_images(2))
    graph = tf.function(params, autograph=False).get_concrete_function(images).graph
    nodes = list(nodes_of(graph.as_graph_def()))
    products = [node.attr["T"].type for node in nodes if node.op in _PRODUCTS]
    assert products.count(tf.bfloat16.as_datatype_enum) == len(products) - 1 > 10
    assert products.count(tf.float32.as_datatype_enum) == 1  # the head


def test_streams_gaussians_and_rates_are_float32(low):
    images = tf.constant(tiny.random_images(2))
    trace = low.trace(models.Posterior(), seeded_noise(0), images)
    output = low(images, keep_latents=True)
    evidence = low.evidence(images, low.read_condition(None))
    floats = tf.nest.flatten((trace.features, evidence, output._replace(stage_reconstructions={})))
    assert {tensor.dtype for tensor in floats if tensor is not None} == {tf.float32}
    assert {weight.dtype for weight in low.weights} == {"float32"}


def test_a_residual_stream_adds_up_what_bfloat16_would_lose():
    """Eight branches of 0.5 each on a stream of 1024, where bfloat16 has steps of 8."""
    block = BottleneckBlock(4, 2, 4, residual=True, last_scale=0.0, dtype=LOW)
    stack = Stack(block, 8)
    stack.build((None, 2, 2, 4))
    stack.level_weight("c4_bias").assign(tf.fill((8, 4), 0.5))
    np.testing.assert_array_equal(stack(tf.fill((1, 2, 2, 4), 1024.0)), np.full((1, 2, 2, 4), 1028))


def test_gradients_are_those_of_float32_within_eight_bits(low):
    images, gradients = tf.constant(tiny.random_images(4)), []
    for model in (tiny.vdvae(prefix_decoders=(1,)), low):
        with tf.GradientTape() as tape:
            output = model(images)
            loss = tf.reduce_mean(output.nll + tf.reduce_sum(output.rate_per_level, axis=1))
        variables = [weight.value for weight in model.trainable_variables]
        parts = tape.gradient(loss, variables, unconnected_gradients="zero")
        gradients.append(np.concatenate([np.ravel(part) for part in parts]))
    difference = np.linalg.norm(gradients[1] - gradients[0]) / np.linalg.norm(gradients[0])
    assert 0.0 < difference < 0.02


def test_rates_that_come_with_images_are_not_rounded(low):
    model = models.StagedVAE([low, tiny.next_stage([low], dtype=LOW)], dtype=LOW)
    rates = np.array([[1.001, 100.3]], np.float32)
    output = model(tiny.random_images(1), condition=tf.zeros((1, 4, 4, 3)), earlier_rates=rates)
    np.testing.assert_array_equal(output.rate_per_level[:, :2], rates)


def test_a_model_says_which_types_there_are():
    with pytest.raises(UserError, match=r"^dtype: expected one of float32, .*, got 'half'$"):
        tiny.vdvae(dtype="half")


def test_types_in_which_training_fails_are_refused():
    model = tiny.vdvae(dtype="mixed_float16")
    with pytest.raises(UserError, match=r"to train vdvae, got 'mixed_float16', in which small"):
        training.Trainer(model, None, objectives.NegativeELBO(), None)
