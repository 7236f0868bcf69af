"""Values of a kind that their place does not take, and references that come back to themselves."""

import pytest

from pcvae import gin_utils
from pcvae.errors import UserError


def parse(toys, *bindings):
    return gin_utils.parse([toys.train], ["exp.gin"], bindings)


@pytest.mark.parametrize(
    ("binding", "says"),
    [
        ("make = None", "takes a function or class, @NAME, but came as None"),
        ("make = {}", "takes a function or class, @NAME, but came as {}"),
        ("make = @toy_library.Model()", "takes a function or class, @NAME, but came as @toy"),
        ("make = %STEPS", "takes a function or class, @NAME, but came as 5"),
        ("kind = 'Model'", "takes a function or class, @NAME, but came as 'Model'"),
        ("flag = {'a': 1}", "takes True or False, but came as {'a': 1}"),
        ("flag = None", "takes True or False, but came as None"),
        ("text = []", "takes text, but came as []"),
        ("path = 3", "takes text or a path or None, but came as 3"),
        ("part = 'Model'", "takes a Base, @NAME() or None, but came as 'Model'"),
        ("part = @toy_library.Model", "takes a Base, @NAME() or None, but came as @toy"),
        ("part = @toy_library.Dataset()", "takes a Base, @NAME() or None, but came as @toy"),
    ],
)
def test_what_a_parameter_cannot_take_is_refused_before_anything_is_built(
    toys, gin_folder, binding, says
):
    with pytest.raises(UserError) as error:
        parse(toys, f"toy_library.typed.{binding}")
    name = binding.partition(" ")[0]
    assert f"toy_library.typed.{name} {says}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "binding",
    [
        "make = @toy_library.Model",
        "make = @toy_library.schedule()",  # what it returns, it does not say
        "kind = @toy_library.Other",
        "flag = False",
        "text = 'a'",
        "path = None",
        "part = None",
        "part = @toy_library.Other()",
        "part = @toy_library.base()",
        "part = @toy_library.schedule()",
        "number = {}",  # those who take numbers say what they take
        "anything = {}",
    ],
)
def test_what_a_parameter_can_take_is_taken(toys, gin_folder, binding):
    assert parse(toys, f"toy_library.typed.{binding}")


@pytest.mark.parametrize(
    ("bindings", "says"),
    [
        (["STEPS = %STEPS"], "%STEPS -> %STEPS"),
        (["WIDTH = [%STEPS]", "STEPS = %WIDTH"], "%WIDTH"),
        (["toy_library.train.extra = @toy_library.train()"], "@toy_library.train() -> @toy"),
        (["STEPS = %STEPS", "STEPS = 3", "WIDTH = {'a': @toy_library.needs()}",
          "toy_library.needs.must = %WIDTH"], "refers to itself"),
    ],
)  # fmt: skip
def test_what_refers_to_itself_is_refused(toys, gin_folder, bindings, says):
    with pytest.raises(UserError, match="refers to itself") as error:
        parse(toys, *bindings)
    assert says in str(error.value)


def test_a_scope_that_ends_a_circle_ends_it(toys, gin_folder):
    assert parse(
        toys,
        "toy_library.needs.must = @inner/toy_library.needs()",
        "inner/toy_library.needs.must = 1",
    )
