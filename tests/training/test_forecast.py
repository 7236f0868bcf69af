"""What is left of the work between steps."""

import pytest

from pcvae.training import Action
from pcvae.training.forecast import Forecast


def run_nothing(step):
    """Is an action."""


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("every", [1, 2, 3, 7, 10, 11])
def test_runs_that_are_left_are_those_of_the_loop(every, at_end):
    action, num_steps = Action(every, run_nothing, at_end), 10
    due = [s for s in range(1, 11) if s % every == 0 or (s == num_steps and at_end)]
    for step in range(1, 11):
        expected = sum(other >= step for other in due)
        assert Forecast([action], num_steps).runs_left(action, step) == expected


def test_an_action_takes_what_it_took_without_its_tracing():
    forecast = Forecast([Action(10, run_nothing, tracing=0.5)], 100)
    forecast.tracing_seconds = 20.0
    assert forecast.seconds_left(1) == 10.0  # nothing is known but the tracing
    forecast.took(0, 13.0)
    assert forecast.seconds_left(11) == pytest.approx(9 * 3.0)
    forecast.took(0, 4.0)
    forecast.took(0, 6.0)
    assert forecast.seconds_left(31) == pytest.approx(7 * 5.0)
    assert forecast.seconds_left(101) == 0.0


def test_what_comes_after_the_last_step_is_counted_when_its_length_is_known():
    actions = [Action(10, run_nothing, again=2.5), Action(20, run_nothing, again=1.0)]
    forecast = Forecast([*actions, Action(50, run_nothing)], 100)
    for seconds in (9.0, 2.0):
        forecast.took(0, seconds)
    forecast.took(1, 5.0)
    assert not forecast.knows_the_end  # the second one may have traced
    assert forecast.seconds_left(101) == 0.0
    forecast.took(1, 3.0)
    assert forecast.knows_the_end
    assert forecast.seconds_left(101) == pytest.approx(2.5 * 2.0 + 1.0 * 3.0)
    assert forecast.seconds_left(91) == pytest.approx(3.5 * 2.0 + 2.0 * 3.0)
    assert not Forecast([Action(50, run_nothing)], 100).knows_the_end
