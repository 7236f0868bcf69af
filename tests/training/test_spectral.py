"""The spectral term equals singular value decompositions, in value and in gradient."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae import training
from pcvae.errors import UserError
from pcvae.objectives import NegativeELBO
from tests.models import tiny

SHAPES = {
    "conv/kernel": (3, 3, 5, 7),
    "conv/bias": (7,),
    "stack/c1_kernel": (4, 1, 1, 6, 8),
    "gate/depthwise_kernel": (5, 5, 6, 1),
    "dense/kernel": (6, 5),
}
KERNELS = ("conv/kernel", "stack/c1_kernel", "gate/depthwise_kernel")


def random_variables():
    return {
        name: tf.Variable(tf.random.stateless_normal(shape, seed=(index, 0)))
        for index, (name, shape) in enumerate(SHAPES.items())
    }


def zeros(variables):
    return [tf.zeros(variable.shape) for variable in variables.values()]


def singular(kernel):
    """The largest singular value of each matrix of a kernel, and what it is in a direction of."""
    levels = len(kernel) if kernel.ndim == 5 else 1
    left, values, right = np.linalg.svd(kernel.reshape(levels, -1, kernel.shape[-1]))
    return values[:, 0], np.einsum("lm,ln->lmn", left[:, :, 0], right[:, 0])


def test_after_fifty_iterations_it_is_the_sum_of_the_largest_singular_values():
    variables = random_variables()
    term = training.SpectralTerm(weight=0.5, first_iterations=49)
    term.build(variables)
    gradients, total = term.added_to([1.0 + g for g in zeros(variables)])
    by_svd = {name: singular(variables[name].numpy()) for name in KERNELS}
    np.testing.assert_allclose(total, sum(v.sum() for v, _ in by_svd.values()), rtol=1e-3)
    assert term.state.keys() == set(KERNELS)
    for name, gradient in zip(variables, gradients, strict=True):
        expected = np.ones(SHAPES[name])
        if name in KERNELS:
            expected = expected + 0.5 * by_svd[name][1].reshape(SHAPES[name])
        np.testing.assert_allclose(gradient, expected, atol=1e-2)


def test_its_vectors_follow_the_weights_by_one_iteration_for_each_step():
    variables = {"kernel": tf.Variable(tf.random.stateless_normal((3, 3, 5, 7), seed=(0, 0)))}
    term = training.SpectralTerm(first_iterations=1)
    term.build(variables)
    sums = [float(term.added_to(zeros(variables))[1]) for _ in range(50)]
    largest = singular(variables["kernel"].numpy())[0][0]
    assert sums[0] < sums[3] < sums[49] <= largest * (1 + 1e-6)
    np.testing.assert_allclose(sums[49], largest, rtol=1e-3)


def test_a_kernel_that_starts_at_zero_counts_once_it_has_moved():
    variables = {"kernel": tf.Variable(tf.zeros((1, 1, 4, 3)))}
    term = training.SpectralTerm()
    term.build(variables)
    gradients, total = term.added_to(zeros(variables))
    assert not np.any(gradients[0]) and float(total) == 0.0
    variables["kernel"].assign(tf.ones((1, 1, 4, 3)))
    for _ in range(3):
        _, total = term.added_to(zeros(variables))
    np.testing.assert_allclose(total, np.sqrt(12.0), rtol=1e-5)


def test_two_replicas_add_it_once():
    strategy = training.make_strategy("mirrored", devices=("cpu:0", "cpu:1"))
    with strategy.scope():
        variables = {"kernel": tf.Variable(tf.reshape(tf.range(12.0), (1, 1, 4, 3)))}
        term = training.SpectralTerm(weight=0.1)
        term.build(variables)

    @tf.function
    def step():
        context = tf.distribute.get_replica_context()
        gradients, total = term.added_to(zeros(variables), context.num_replicas_in_sync)
        return context.all_reduce("SUM", gradients)[0], total

    gradient, total = (
        strategy.experimental_local_results(values)[1] for values in strategy.run(step)
    )
    values, direction = singular(variables["kernel"].numpy())
    np.testing.assert_allclose(gradient, 0.1 * direction.reshape(1, 1, 4, 3), atol=1e-5)
    np.testing.assert_allclose(total, values[0], rtol=1e-5)


def test_a_step_of_a_trainer_adds_it_for_every_convolution(eagerly):
    """Each matrix adds a gradient of length `weight`, beside which that of the loss vanishes."""
    model, weight = tiny.vdvae(head="gaussian"), 1e6
    update = training.GradientUpdate(training.AdamW(learning_rate=1e-2, warmup_steps=0))
    term = training.SpectralTerm(weight)
    trainer = training.Trainer(model, model.twin(), NegativeELBO(), update, spectral_term=term)
    kernels = {n: w.numpy() for n, w in model.trained_weights.items() if n.endswith("kernel")}
    batch = {
        "images": tf.constant(tiny.random_images()),
        "first_example": tf.constant(0, tf.int64),
    }
    report = trainer.step(batch)
    values = {name: singular(kernel)[0] for name, kernel in kernels.items()}
    total = report["spectral/sum_of_largest_singular_values"]
    np.testing.assert_allclose(total, sum(v.sum() for v in values.values()), rtol=0.02)
    count = sum(v.size for v in values.values())
    np.testing.assert_allclose(report["update"].gradient_norm, weight * count**0.5, rtol=1e-3)
    assert float(report["loss"]) < 1e-3 * weight  # told without it
    assert trainer.state["spectral"].keys() == kernels.keys()


def test_a_model_without_convolutions_has_no_such_term():
    with pytest.raises(UserError, match="spectral term: expected convolutions to train"):
        training.SpectralTerm().build({"dense/kernel": tf.Variable(tf.zeros((3, 3)))})
    with pytest.raises(UserError, match="spectral weight: expected a number of at least 0"):
        training.SpectralTerm(weight=-1.0)
