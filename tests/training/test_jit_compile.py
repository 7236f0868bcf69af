"""A step that XLA compiles is the step, up to rounding."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae import training
from pcvae.errors import UserError
from pcvae.objectives import ConstrainedRate, LagrangeMultiplier
from pcvae.tracing import is_compiled_by_xla
from tests.op_by_op import op_by_op
from tests.training import few_steps, linear_gaussian

pytestmark = pytest.mark.slow
KINDS = ("constrained",)  # a model of few operations; its step has all the parts that there are


@pytest.fixture(scope="module")
def expected():
    with op_by_op():
        return few_steps.train_each(training.make_strategy("one_device"), KINDS)


@pytest.mark.parametrize("replicas", [1, 2])
def test_compiled_steps_are_those_that_are_not(replicas, expected, monkeypatch):
    compiled, of_model = [], ConstrainedRate.__call__

    def watched(self, *arguments):
        compiled.append(is_compiled_by_xla())
        return of_model(self, *arguments)

    monkeypatch.setattr(ConstrainedRate, "__call__", watched)
    devices = [f"CPU:{index}" for index in range(replicas)]
    strategy = training.make_strategy("one_device" if replicas == 1 else "mirrored", devices)
    few_steps.check_equal(few_steps.train_each(strategy, KINDS, jit_compile=True), expected)
    assert compiled == [True] * replicas


def test_a_later_step_is_not_compiled_anew():
    """XLA's program holds nothing that moves from step to step."""
    trainer = linear_gaussian.make_trainer(
        ConstrainedRate(0.4), LagrangeMultiplier(), few_steps.STEPS, jit_compile=True
    )
    images = tf.constant(linear_gaussian.gaussian_images()[:2])
    batch, programs = {"images": images, "first_example": tf.constant(0, tf.int64)}, []
    for value in (0, 30):
        for counter in trainer.state["update"].values():
            counter.assign(tf.cast(tf.fill(counter.shape, value), counter.dtype))
        programs.append(trainer._step.experimental_get_compiler_ir(batch)(stage="hlo"))
    assert programs[0] == programs[1]


def test_what_xla_does_not_have_is_named_in_a_line():
    class CallsPython(ConstrainedRate):
        def __call__(self, output, images, step):
            terms = super().__call__(output, images, step)
            one = tf.numpy_function(lambda: np.float32(1.0), [], tf.float32, stateful=False)
            return terms._replace(loss=terms.loss * tf.reshape(one, []))

    trainer = linear_gaussian.make_trainer(
        CallsPython(0.4), LagrangeMultiplier(), few_steps.STEPS, jit_compile=True
    )
    images = tf.constant(linear_gaussian.gaussian_images()[:2])
    with pytest.raises(UserError, match=r"^jit_compile=True: XLA cannot .* with PyFuncStateless: "):
        trainer.step({"images": images, "first_example": tf.constant(0, tf.int64)})
