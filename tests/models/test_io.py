"""Models on disk: round trip, and nothing executed or half-loaded."""

import json

import numpy as np
import pytest

from pcvae.errors import UserError
from pcvae.models import VDVAE, load_weights, read_model, small_vdvae, write_model


def small():
    return small_vdvae((8, 8, 1), width=4, min_width=4, max_width=8)


@pytest.mark.slow
def test_round_trip(tmp_path):
    model = small()
    write_model(model, tmp_path / "model.json")
    again = read_model(tmp_path / "model.json")
    load_weights(again, {name: w.numpy() for name, w in model.named_weights.items()})
    assert type(again) is VDVAE
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(again.sample(2), model.sample(2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "format_version"),
        ('{"format_version": 99}', "expected format_version 1, got 99"),
        ('{"format_version": 1, "class": "os.system", "config": {}}', "expected a class of"),
        (
            '{"format_version": 1, "class": "VDVAE", "config": {"widht": 3}}',
            "VDVAE has no argument widht",
        ),
        ('{"format_version": 1, "class": "VDVAE", "config": {"width": "a"}}', "width"),
        ('{"format_version": 1, "class": "VDVAE", "config": []}', "expected a class of"),
    ],
)
def test_files_that_are_no_models(tmp_path, text, message):
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_model(path)


def test_a_missing_file_names_the_run_directory(tmp_path):
    with pytest.raises(UserError, match="expected a run directory with model.json"):
        read_model(tmp_path / "model.json")


def test_the_file_is_plain_json(tmp_path):
    write_model(small(), tmp_path / "model.json")
    record = json.loads((tmp_path / "model.json").read_text())
    assert set(record) == {"format_version", "class", "config"}


def test_weights_that_do_not_fit_are_named_and_nothing_is_assigned():
    model = small()
    before = {name: weight.numpy() for name, weight in model.named_weights.items()}
    weights = {name: array + 1 for name, array in before.items()}
    weights["extra"] = weights.pop("decoder/gain")
    weights["decoder/bias"] = np.zeros(99)
    with pytest.raises(UserError) as error:
        load_weights(model, weights)
    for part in ("missing decoder/gain", "unexpected extra", "decoder/bias has shape (99,)"):
        assert part in str(error.value)
    for name, weight in model.named_weights.items():
        np.testing.assert_array_equal(weight.numpy(), before[name])
