import math

import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.training.schedules import LearningRate


@pytest.mark.parametrize("step, fraction", [(0, 0.0), (1, 0.01), (50, 0.5), (100, 1.0), (1e6, 1.0)])
def test_warmup_is_linear_then_constant(step, fraction):
    rate = LearningRate(2e-4, warmup_steps=100)
    np.testing.assert_allclose(rate(tf.constant(int(step), tf.int64)), 2e-4 * fraction, rtol=1e-6)


def test_no_warmup_starts_at_the_peak():
    assert LearningRate(0.5, warmup_steps=0)(0) == 0.5


def test_cosine_closed_form_and_floor():
    rate = LearningRate(1.0, warmup_steps=10, decay="cosine", decay_steps=110, final_fraction=0.1)
    steps = np.array([5, 10, 35, 60, 110, 500])
    progress = np.clip((steps - 10) / 100, 0, 1)
    expected = np.minimum(steps / 10, 1) * (0.1 + 0.9 * 0.5 * (1 + np.cos(math.pi * progress)))
    np.testing.assert_allclose([rate(step) for step in steps], expected, rtol=1e-6)
    assert rate(35).dtype == tf.float32


def test_the_rate_never_rises_after_the_warmup():
    rate = LearningRate(1.0, warmup_steps=3, decay="cosine", decay_steps=20)
    rates = np.array([rate(step) for step in range(3, 30)])
    assert (np.diff(rates) <= 0).all() and rates[-1] == pytest.approx(0.0, abs=1e-7)


def test_config_makes_an_equal_schedule():
    rate = LearningRate(3e-4, warmup_steps=7, decay="cosine", decay_steps=50, final_fraction=0.2)
    again = LearningRate(**rate.get_config())
    assert [float(rate(s)) for s in range(60)] == [float(again(s)) for s in range(60)]


@pytest.mark.parametrize(
    "arguments, word",
    [
        ({"peak": 0.0}, "learning_rate"),
        ({"peak": float("nan")}, "learning_rate"),
        ({"peak": 1.0, "warmup_steps": -1}, "warmup_steps"),
        ({"peak": 1.0, "decay": "linear"}, "cosine"),
        ({"peak": 1.0, "decay": "cosine"}, "decay_steps"),
        ({"peak": 1.0, "decay": "cosine", "decay_steps": 0}, "decay_steps"),
        ({"peak": 1.0, "final_fraction": 1.5}, "final_fraction"),
    ],
)
def test_wrong_values_are_named(arguments, word):
    with pytest.raises(UserError, match=word):
        LearningRate(**arguments)
