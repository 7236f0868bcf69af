"""A model comes back from wherever it goes, with what is frozen still frozen."""

import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae.export.endpoints import Endpoints, level_names
from pcvae.models import read_model, weights_sha256, write_model
from pcvae.training.checkpoints import Checkpoints
from tests.conformance.models import DISTINCT, ENTRIES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=DISTINCT)
def model(request):
    model = ENTRIES[request.param].make()
    model.freeze(list(model.named_weights)[::2])
    return model


def by_spec_and_checkpoint(model, folder):
    write_model(model, folder / "model.json")
    again = read_model(folder / "model.json")
    Checkpoints(folder, {"model": model.named_weights}).save(1)
    assert Checkpoints(folder, {"model": again.named_weights}).restore_newest() == 1
    return again


def by_keras_file(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def by_clone(model, folder):
    again = keras.models.clone_model(model)
    again.set_weights(model.get_weights())
    return again


def by_copy(model, folder):
    return copy.deepcopy(model)


WAYS = [by_spec_and_checkpoint, by_keras_file, by_clone, by_copy]


@pytest.mark.parametrize("way", WAYS)
def test_it_comes_back(model, way, tmp_path):
    again = way(model, tmp_path)
    assert type(again) is type(model)
    assert again.get_config() == model.get_config()
    assert weights_sha256(again) == weights_sha256(model)
    assert again.frozen_weights.keys() == model.frozen_weights.keys()
    assert [w.trainable for w in again.weights] == [w.trainable for w in model.weights]
    own = {id(weight) for weight in model.weights}
    assert not any(id(weight) in own for weight in again.weights)


def test_a_twin_shares_values_of_what_is_frozen_alone(model):
    twin = model.twin()
    assert twin.get_config() == model.get_config()
    assert twin.frozen_weights.keys() == model.frozen_weights.keys()
    for name, weight in model.frozen_weights.items():
        np.testing.assert_array_equal(twin.frozen_weights[name], weight)
    assert all(twin.trained_weights[name] is not w for name, w in model.trained_weights.items())


def test_names_of_weights_do_not_depend_on_the_name_of_the_model(model):
    config = {**model.get_config(), "name": "another"}
    assert type(model).from_config(config).named_weights.keys() == model.named_weights.keys()
    assert len(model.named_weights) == len(model.weights)


def test_an_export_equals_bit_by_bit(model, eagerly):
    """Op by op; that a saved graph gives the same bits is tested in tests/export."""
    images = np.random.default_rng(1).integers(0, 256, (4, *model.image_shape), dtype=np.uint8)
    condition, given = None, []
    if model.condition is not None:
        spec = model.condition.spec
        condition = np.ones((4, *spec.shape[1:]), spec.dtype.as_numpy_dtype)
        given = [tf.constant(condition)]
    endpoints, seed = Endpoints(model), tf.constant([5, 0])
    own = {"condition": condition}
    temperature = tf.ones(model.num_levels)
    np.testing.assert_array_equal(
        endpoints.sample(4, temperature, seed, *given), model.sample(4, seed=5, **own)
    )
    for num_levels in range(model.num_levels + 1):
        np.testing.assert_array_equal(
            endpoints.reconstruct(images, num_levels, seed, *given),
            model.reconstruct(images, num_levels, seed=5, **own),
        )
    np.testing.assert_array_equal(
        endpoints.rates(images, seed, *given), model.rate_per_level(images, seed=5, **own)
    )
    latents = model.encode(images, seed=5, **own)
    for actual, expected in zip(
        endpoints.encode(images, seed, *given).values(), latents, strict=True
    ):
        np.testing.assert_array_equal(actual, expected)
    named = dict(zip(level_names(model), map(tf.constant, latents), strict=True))
    named |= {"condition": given[0]} if given else {}
    np.testing.assert_array_equal(endpoints.decode(**named), model.decode(latents, **own))
