"""LPIPS agrees with the published package on random weights; what other weights it refuses."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.measure import LPIPS
from pcvae.measure.lpips import (
    WIDTHS,
    canonical_names,
    check_lpips_shapes,
    lpips_from_arrays,
    min_side,
)

GOLDENS = Path(__file__).parents[1] / "goldens"


def read_golden(network):
    with np.load(GOLDENS / f"lpips_{network}.npz") as arrays:
        golden = {name: arrays[name] for name in arrays.files}
    state = {n.removeprefix("weight/"): v for n, v in golden.items() if n.startswith("weight/")}
    return golden, {name: state[key] for name, key in canonical_names(state).items()}


@pytest.fixture(scope="module", params=["alex", "vgg"])
def case(request):
    golden, arrays = read_golden(request.param)
    return request.param, golden, arrays, lpips_from_arrays(arrays)


def test_the_reference_agrees(case):
    network, golden, _, model = case
    assert model.network == network
    terms = model.per_block(golden["first"], golden["second"]).numpy()
    np.testing.assert_allclose(terms.T, golden["per_layer"], rtol=2e-5, atol=1e-8)
    distance = model(golden["first"], golden["second"]).numpy()
    np.testing.assert_allclose(distance, golden["distance"], rtol=2e-5, atol=1e-8)


def test_a_distance_is_symmetric_and_zero_for_equal_images(case):
    _, golden, _, model = case
    one, other = model(golden["second"], golden["first"]), model(golden["first"], golden["second"])
    np.testing.assert_allclose(one, other, rtol=1e-5)
    assert (model(golden["first"], golden["first"]).numpy() == 0.0).all()


def test_the_least_side_is_the_least(case):
    network, _, _, model = case
    side = min_side(network)
    assert side == {"alex": 31, "vgg": 16}[network]
    images = np.random.default_rng(0).uniform(-1, 1, (2, 1, side, side, 3)).astype(np.float32)
    terms = model.per_block(*images).numpy()
    assert terms.shape == (1, 5) and (terms > 0.0).all()  # every block has a place to compare
    with pytest.raises((tf.errors.OpError, ValueError)):  # as the version of Keras has it
        model(*images[:, :, 1:, 1:])


def test_it_is_made_again_from_its_configuration(case):
    _, golden, _, model = case
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    twin.set_weights(model.get_weights())
    pair = golden["first"], golden["second"]
    np.testing.assert_array_equal(twin(*pair), model(*pair))


def test_the_published_networks_have_their_parameters():
    # Convolutions of torchvision's networks, and one weight for each channel that is compared.
    assert LPIPS("alex").count_params() == 2_469_696 + sum(WIDTHS["alex"])
    assert LPIPS("vgg").count_params() == 14_714_688 + sum(WIDTHS["vgg"])


def test_names_of_the_networks_and_of_the_package_are_known():
    names = ["features.0.weight", "net.slice2.3.bias", "lin0.model.1.weight", "lin1.weight"]
    assert canonical_names([*names, "classifier.1.weight", "lins.0.model.1.weight"]) == {
        "features.0.weight": names[0],
        "features.3.bias": names[1],
        "lin0.weight": names[2],
        "lin1.weight": names[3],
    }


def test_other_weights_are_refused():
    _, arrays = read_golden("alex")
    shapes = {name: array.shape for name, array in arrays.items()}
    assert check_lpips_shapes(shapes) == ("alex", (8, 12, 10, 6, 7))
    with pytest.raises(UserError, match="got 14 of them"):
        check_lpips_shapes({name: shapes[name] for name in list(shapes)[1:]})
    with pytest.raises(
        UserError, match=r"lin2\.weight of shape \(1, 10, 1, 1\), got \(1, 9, 1, 1\)"
    ):
        check_lpips_shapes({**shapes, "lin2.weight": (1, 9, 1, 1)})
    with pytest.raises(UserError, match="expected one of alex, vgg"):
        LPIPS("squeeze")
