"""The graphs of Keras' loops: they give the numbers of single steps, and are traced once."""

import functools

import numpy as np
import pytest

from tests.models import tiny
from tests.models.test_keras_numbers import COUNT, assert_same, compiled, fitted
from tests.op_by_op import op_by_op

# One level and a head of few operations: XLA compiles each graph for each size of a batch.
ONE_LEVEL = {"encoder_blocks": "4x1", "decoder_blocks": "4x1", "head": "gaussian"}
make = functools.partial(tiny.vdvae, **ONE_LEVEL)


def numbers_of(model, count, batch_size):
    """What an epoch of batches of 3 images leads to, and what is then evaluated and predicted."""
    done, images = fitted(model, count, batch_size=3), tiny.random_images(count)
    loss = model.evaluate(images, batch_size=batch_size, verbose=0)[0]
    rates = model.predict(images, batch_size=batch_size, verbose=0).rate_per_level
    return done, loss, rates


@pytest.mark.slow
def test_compiled_by_xla_a_fit_is_the_same():
    with op_by_op():
        expected = fitted(compiled(make), 3, batch_size=3)
    assert_same(expected, fitted(compiled(make, jit_compile=True), 3, batch_size=3))


@pytest.mark.slow
def test_how_steps_are_run_changes_nothing():
    with op_by_op():
        expected, expected_loss, expected_rates = numbers_of(compiled(make), COUNT, 2)
    many = compiled(make, replicas=2, steps_per_execution=2)
    done, loss, rates = numbers_of(many, COUNT, COUNT)
    assert_same(expected, done)
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    np.testing.assert_allclose(rates, expected_rates, rtol=1e-5)


@pytest.mark.slow
def test_a_short_last_batch_is_not_traced_anew(monkeypatch):
    model, traced = compiled(make), []
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
