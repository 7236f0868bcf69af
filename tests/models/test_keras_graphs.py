"""The graphs of Keras' loops: they give the numbers of single steps, and are traced once."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models import tiny
from tests.models.test_keras_numbers import COUNT, assert_same, compiled, fitted


@pytest.fixture(scope="module")
def op_by_op():
    """What one epoch of batches of 3 images leads to without graphs."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    done = fitted(compiled(tiny.vdvae), batch_size=3)
    tf.config.run_functions_eagerly(before)
    return done


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"steps_per_execution": 2}, {"jit_compile": True}, {"replicas": 2, "steps_per_execution": 2}],
    ids=str,
)
def test_how_steps_are_run_changes_nothing(op_by_op, options):
    model = compiled(tiny.vdvae, **options)
    assert_same(op_by_op, fitted(model, batch_size=3))
    images = tiny.random_images(COUNT)
    losses = [model.evaluate(images, batch_size=n, verbose=0)[0] for n in (2, 8)]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)
    rates = [model.predict(images, batch_size=n, verbose=0).rate_per_level for n in (2, 8)]
    np.testing.assert_allclose(rates[0], rates[1], rtol=1e-5)


@pytest.mark.slow
def test_a_short_last_batch_is_not_traced_anew(monkeypatch):
    model, traced = compiled(tiny.vdvae), []
    walk = type(model).walk
    monkeypatch.setattr(
        type(model), "walk", lambda self, *a, **k: traced.append(1) or walk(self, *a, **k)
    )
    loops = (model.fit, model.evaluate, model.predict)
    for loop in loops:
        loop(tiny.random_images(4), batch_size=4, verbose=0)
    whole = len(traced)
    for loop in loops:
        loop(tiny.random_images(COUNT), batch_size=4, verbose=0)
    model.predict(tiny.random_images(1), verbose=0)
    assert len(traced) == whole
