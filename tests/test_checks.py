import numpy as np
import pytest

from pcvae import objectives, training
from pcvae.checks import check_choice, check_number
from pcvae.errors import UserError
from pcvae.layers.levels import prefix_lengths, widths_notation

# What a binding of gin can hold where a number or a text is meant.
OTHER_TYPES = ({}, {"a": 1}, [1], (), None, "x", True, float("nan"), 1j)


@pytest.mark.parametrize("value", [0, 0.25, np.float32(0.5), np.int64(1)])
def test_a_number_in_the_range_comes_back_as_a_float(value):
    number = check_number("share", value, 0.0, 1.0)
    assert type(number) is float and number == value


@pytest.mark.parametrize("value", [*OTHER_TYPES, float("inf"), -0.1, 1.1])
def test_another_is_named_with_what_was_expected(value):
    with pytest.raises(UserError) as error:
        check_number("share", value, 0.0, 1.0)
    assert str(error.value) == f"share: expected a number in [0, 1], got {value!r}"


def test_an_end_that_does_not_fit_is_told():
    with pytest.raises(UserError, match=r"a: .* \(0, 1\), got 0.0"):
        check_number("a", 0.0, 0.0, 1.0, above=True, below=True)
    with pytest.raises(UserError, match=r"a: .* \[0, 1\), got 1.0"):
        check_number("a", 1.0, 0.0, 1.0, below=True)
    with pytest.raises(UserError, match="a: .* above 2, got 2"):
        check_number("a", 2, 2, above=True)
    assert check_number("a", 2, 2) == 2.0


@pytest.mark.parametrize("value", [*OTHER_TYPES, "b"])
def test_a_choice_is_one_of_some_texts(value):
    assert check_choice("way", "a", {"a": 1}) == "a"
    with pytest.raises(UserError, match="way: expected one of a, got "):
        check_choice("way", value, {"a": 1})


TAKEN = {
    "beta": objectives.NegativeELBO,
    "kl_warmup_steps": objectives.NegativeELBO,
    "free_bits_nats_per_level": objectives.NegativeELBO,
    "rate_target_nats_per_dim": objectives.ConstrainedRate,
    "distortion_target_mse": objectives.ConstrainedDistortion,
    "rule": objectives.LagrangeMultiplier,
    "initial": objectives.LagrangeMultiplier,
    "average_decay": objectives.LagrangeMultiplier,
    "learning_rate": training.AdamW,
    "beta_1": training.AdamW,
    "epsilon": training.AdamW,
    "weight_decay": training.AdamW,
    "warmup_steps": training.AdamW,
    "decay": training.AdamW,
    "ema_decay": lambda **given: training.GradientUpdate(training.AdamW(), **given),
    "skip_window": lambda **given: training.GradientUpdate(training.AdamW(), **given),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_another_type_is_bound_to_is_named(name):
    for value in ({}, {"a": 1}, [1], float("nan"), 1j):
        with pytest.raises(UserError, match=name):
            TAKEN[name](**{name: value})


@pytest.mark.parametrize("value", [None, 1e30, {1: 2}])
def test_prefixes_are_a_list(value):
    with pytest.raises(UserError, match="prefixes: .*got "):
        prefix_lengths(value, (1, 4))


@pytest.mark.parametrize("value", [[1], 3, True, (64, 32)])
def test_widths_are_a_notation_or_a_dict(value):
    with pytest.raises(UserError, match="width_per_resolution: .*got "):
        widths_notation(value)
