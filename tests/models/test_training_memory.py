"""The estimate of memory counts what gradients keep, as the graphs say."""

import functools
import types

import pytest
import tensorflow as tf

from pcvae import models
from pcvae.distributions.noise import seeded_noise
from pcvae.layers.plan import Posterior
from pcvae.layers.top_down import TopDown
from pcvae.models.training_memory import TAKEN_FOR_ASKED
from pcvae.tracing import functions_of
from tests.models import tiny

MANY = 10**9  # images, so that what a gradient keeps outweighs the weights
SIDE, WIDTH, LATENT_WIDTH = 4, 20, 3


def model(levels=2, **changes):
    return models.VDVAE(
        image_shape=(SIDE, SIDE, 3),
        encoder_blocks=f"{SIDE}x1",
        decoder_blocks=f"{SIDE}x{levels}",
        width=WIDTH,
        latent_width=LATENT_WIDTH,
        num_mixtures=1,
        **changes,
    )


@functools.cache
def bytes_of_an_image(*arguments, **changes):
    return models.training_memory(model(*arguments, **changes), MANY).step / TAKEN_FOR_ASKED / MANY


def bytes_of_a_level(**changes):
    return bytes_of_an_image(3, **changes) - bytes_of_an_image(2, **changes)


@pytest.mark.slow
def test_a_level_takes_what_its_function_keeps_for_its_gradient():
    batch = 5
    decoder = TopDown(f"{SIDE}x2", WIDTH, latent_width=LATENT_WIDTH)
    decoder.build()

    @tf.function(autograph=False)
    def gradient(activations):
        with tf.GradientTape() as tape:
            tape.watch(activations)
            trace = decoder.walk(batch, Posterior(), seeded_noise(0), {SIDE: activations})
        return tape.gradient((trace.features, trace.rate_per_level), activations)

    graph = gradient.get_concrete_function(tf.TensorSpec((batch, SIDE, SIDE, WIDTH))).graph
    [call, _] = [op for op in graph.get_operations() if "forward" in str(op.node_def.attr["f"])]
    assert bytes_of_a_level() == pytest.approx(bytes_made_by(call, graph, batch) / batch, rel=1e-6)


def bytes_made_by(call, graph, batch):
    """Returns the bytes of what a called function returns of each image, each tensor once."""
    name = call.node_def.attr["f"].func.name
    [function] = [f for f in functions_of(graph.as_graph_def()) if f.signature.name == name]
    operations = {node.name: node for node in function.node_def}

    def origin(tensor):
        """Returns the tensor whose memory this one has."""
        name, _, place = tensor.partition(":")
        operation = operations.get(name)
        if operation is None or operation.op not in ("Identity", "IdentityN", "Reshape"):
            return tensor
        return origin(operation.input[int(place.rpartition(":")[2])])

    made = {
        origin(function.ret[argument.name]): tensor
        for argument, tensor in zip(function.signature.output_arg, call.outputs, strict=True)
    }
    pixels = batch * SIDE * SIDE
    return sum(
        tensor.shape.num_elements() * tensor.dtype.size
        for name, tensor in made.items()
        if name.partition(":")[0] in operations and tensor.shape.num_elements() % pixels == 0
    )


def test_recomputed_levels_keep_what_enters_them():
    for precision in ("float32", "mixed_bfloat16"):
        kept = bytes_of_a_level(recompute=1, dtype=precision)
        assert kept == pytest.approx(4 * SIDE**2 * WIDTH, rel=1e-6)
    assert bytes_of_a_level(recompute=2 * SIDE) == bytes_of_a_level()


def test_lower_precision_halves_all_but_the_latents():
    latents = 4 * SIDE**2 * 12 * LATENT_WIDTH
    expected = latents + (bytes_of_a_level() - latents) / 2
    assert bytes_of_a_level(dtype="mixed_bfloat16") == pytest.approx(expected, rel=1e-6)


def test_few_images_leave_the_weights_slots_and_gradients():
    large = model(width_per_resolution={SIDE: 400})
    weights = 4 * large.count_params()
    memory = models.training_memory(large, 1)
    assert memory.state == 4 * weights
    assert memory.step == pytest.approx(TAKEN_FOR_ASKED * 2 * weights)
    assert memory.peak == memory.process + memory.state + memory.step
    both = models.training_memory(large, 1, replicas=2)
    assert both.process == memory.process
    assert both.state == 2 * memory.state
    assert both.step == pytest.approx(2 * memory.step)


def test_frozen_stages_have_no_gradient():
    stages = [tiny.first_stage()]
    stages.append(tiny.next_stage(stages))
    staged = models.StagedVAE(stages)
    free = models.training_memory(staged, MANY)
    of_each = [models.training_memory(stage, MANY) for stage in stages]
    assert free.step == pytest.approx(sum(memory.step for memory in of_each))
    staged.freeze_stages(1)
    held = models.training_memory(staged, MANY)
    assert held.step == of_each[1].step
    assert held.state == 4 * stages[0].count_params() + of_each[1].state


def test_what_is_not_made_of_blocks_has_no_estimate():
    assert models.training_memory(types.SimpleNamespace(architecture=None), 1) is None
