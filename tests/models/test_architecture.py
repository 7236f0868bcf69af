"""What an architecture says before a model of it is made."""

import pytest

from pcvae.errors import UserError
from pcvae.models import VDVAE, registered_models
from tests.conformance.models import ENTRIES
from tests.models import tiny


@pytest.mark.parametrize("name", ["vdvae", "linear", "gaussian", "frozen_prefix", "ladder"])
def test_no_model_has_fewer_weights_than_its_architecture_says(name):
    model = ENTRIES[name].make()
    least = model.architecture.least_num_weights
    assert 0.01 * model.count_params() < least < model.count_params()


def test_weights_that_no_memory_holds_are_one_line_before_anything_is_made():
    with pytest.raises(UserError, match="width=40000.* GiB for its weights, this process may take"):
        VDVAE(**{**tiny.ARGUMENTS, "width": 40_000, "decoder_blocks": "1x99,4m1,4x99"})


@pytest.mark.parametrize("model_class", registered_models().values(), ids=registered_models())
def test_a_reader_finds_a_model_in_few_classes(model_class):
    ours = [base for base in model_class.__mro__[1:] if base.__module__.startswith("pcvae.")]
    assert len(ours) <= 3


def test_what_is_no_weight_cannot_be_frozen():
    model = tiny.vdvae()
    with pytest.raises(UserError, match="freeze: vdvae has no weight typo"):
        model.freeze(["typo", next(iter(model.named_weights))])
    assert not model.frozen_weights
