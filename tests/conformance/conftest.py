"""Each model is made once for a module; its graphs are traced once."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.conformance.models import ENTRIES
from tests.models import tiny

COUNT = 5


class Case(NamedTuple):
    """A model with images and what it is given for them."""

    name: str
    model: Any
    images: np.ndarray
    given: dict  # {"condition": ...} or {}


def make_case(name: str) -> Case:
    """Makes a model anew, equal to every other that was made for this name."""
    entry = ENTRIES[name]
    given = {} if entry.condition is None else {"condition": entry.condition(COUNT)}
    return Case(name, entry.make(), tiny.random_images(COUNT), given)


@pytest.fixture(scope="module", params=ENTRIES)
def case(request):
    return make_case(request.param)
