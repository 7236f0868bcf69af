"""The NVAE's residual cells equal figure 3 of the paper, written out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae.export.operations import OPERATIONS
from pcvae.layers import Stack
from pcvae.layers.cells import Site
from pcvae.layers.cells.nvae import NVAECell
from pcvae.layers.nvae_blocks import EPSILON, MOMENTUM, NVAEDecoderBlock, NVAEEncoderBlock
from pcvae.tracing import nodes_of

pytestmark = pytest.mark.usefixtures("eagerly")
WIDTH = 6
SHAPE = (3, 5, 5, WIDTH)


def random_block(block):
    """Gives every weight a random value, and moving variances positive ones."""
    if not block.built:
        block.build()
    for index, weight in enumerate(block.weights):
        value = tf.random.stateless_normal(weight.shape, seed=(index, 0))
        weight.assign(tf.exp(value) if "variance" in weight.name else value)
    return block


def weight(block, name):
    return next(w for w in block.weights if w.path.endswith(f"/{name}")).numpy()


def written_out(block, x, *parts):
    """Applies parts of a branch by their names, from the weights alone."""
    h = tf.constant(x)
    for part in parts:
        if part == "swish":
            h = h * tf.sigmoid(h)
        elif part.startswith("norm"):
            gamma, beta, mean, variance = (
                weight(block, f"{part}/{name}")
                for name in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            h = gamma * (h - mean) / np.sqrt(variance + EPSILON) + beta
        elif part == "channels":
            squeezed = np.mean(h, axis=(1, 2)) @ weight(block, "squeeze/kernel")
            squeezed = np.maximum(squeezed + weight(block, "squeeze/bias"), 0.0)
            excited = squeezed @ weight(block, "excite/kernel") + weight(block, "excite/bias")
            h = h * tf.sigmoid(excited)[:, None, None]
        else:
            kernel = weight(block, f"{part}/kernel")
            convolve = tf.nn.depthwise_conv2d if kernel.shape[-1] == 1 else tf.nn.conv2d
            h = convolve(h, kernel, (1, 1, 1, 1), "SAME")
            # A normalisation takes any constant away.
            h += weight(block, f"{part}/bias") if part == "c2" else 0.0
    return x + 0.1 * h


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        (
            NVAEEncoderBlock(WIDTH, 3, name="block"),
            ("norm_1", "swish", "c1", "norm_2", "swish", "c2", "channels"),
        ),
        (
            NVAEDecoderBlock(WIDTH, 5, name="block"),
            (
                *("norm_1", "expand", "norm_2", "swish", "depthwise", "norm_3", "swish"),
                *("project", "norm_4", "channels"),
            ),
        ),
    ],
    ids=["encoder", "decoder"],
)
def test_a_block_is_what_the_figure_says(block, parts):
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    expected = written_out(random_block(block), x, *parts)
    assert np.abs(expected - x).max() > 0.1
    np.testing.assert_allclose(block(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("width", [6, 64])
def test_the_sizes_of_a_block_are_the_published_ones(width):
    squeezed = max(4, width // 16)
    channels = width * squeezed + squeezed + squeezed * width + width
    encoder, decoder = NVAEEncoderBlock(width, 3), NVAEDecoderBlock(width, 5)
    encoder.build()
    decoder.build()
    assert encoder.count_params() == 2 * 4 * width + 2 * 9 * width**2 + width + channels
    inner = 6 * width
    assert decoder.count_params() == sum(
        (
            2 * 4 * width + 2 * 4 * inner + channels,
            width * inner + 25 * inner + inner * width,
        )
    )


def test_in_training_a_stack_of_them_is_normalised_by_the_batch_and_remembers_it():
    stack = Stack(NVAEDecoderBlock(WIDTH, 5, name="block"), 2, name="stack")
    stack.build(SHAPE)
    x = 3.0 + 2.0 * tf.random.stateless_normal(SHAPE, seed=(1, 0))
    assert np.abs(stack(x, training=True) - stack(x)).max() > 1e-3
    mean = stack.level_weight("norm_1_moving_mean")[0]
    np.testing.assert_allclose(mean, (1.0 - MOMENTUM) * np.mean(x, axis=(0, 1, 2)), rtol=1e-4)


def test_the_prior_of_a_cell_starts_standard_and_leaves_the_features():
    cell, site = NVAECell(WIDTH, 2, 3), Site(tf.constant(0), (3, 5, 5, 2))
    cell.build()
    h, evidence = tf.random.stateless_normal((2, *SHAPE), seed=(2, 0))
    prior, after = cell.prior(h, site)
    np.testing.assert_array_equal(after, h)
    np.testing.assert_array_equal(prior.loc, np.zeros((3, 5, 5, 2)))
    np.testing.assert_array_equal(prior.stddev(), np.ones((3, 5, 5, 2)))
    # The network of the posterior sees both.
    for changed in ((h + 1.0, evidence), (h, evidence + 1.0)):
        shift = cell.posterior(h, prior, evidence, site)
        assert np.abs(cell.posterior(changed[0], prior, changed[1], site).loc - shift.loc).max() > 0


def test_a_block_is_made_again_from_its_configuration():
    block = random_block(NVAEDecoderBlock(WIDTH, 5, name="block"))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(block))
    again.set_weights(block.get_weights())
    x = tf.random.stateless_normal(SHAPE, seed=(3, 0))
    np.testing.assert_array_equal(again(x), block(x))


@pytest.mark.parametrize("block", [NVAEEncoderBlock(WIDTH, 3), NVAEDecoderBlock(WIDTH, 5)], ids=str)
def test_an_export_may_hold_what_a_block_computes(block):
    block.build()
    graph = tf.function(block).get_concrete_function(tf.TensorSpec(SHAPE)).graph
    nodes = list(nodes_of(graph.as_graph_def()))
    assert {node.op for node in nodes} <= OPERATIONS
    # With a gradient of its own an operation would be saved with tensors that it has captured.
    assert not any("_gradient_op_type" in node.attr for node in nodes)
