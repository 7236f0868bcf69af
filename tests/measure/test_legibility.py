"""The share of images whose digits are all recognised."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.measure import as_extractor, collect_features
from pcvae.measure.legibility import legibility_extractor, legible_shares


def test_an_image_is_legible_where_every_digit_is_certain():
    """The first pixel says how certain the first digit is, the second the second, in percent."""
    percents = [(95, 99), (95, 80), (91, 92), (90, 99), (89, 99)]
    images = np.zeros((5, 4, 4, 1), np.uint8)
    images[:, 0, :2, 0] = percents

    def certainty(images):
        return tf.cast(images[:, 0, :2, 0], tf.float32) / 100.0

    extractor = legibility_extractor(certainty, name="reader")
    features = collect_features(images, extractor, batch_size=2)
    np.testing.assert_array_equal(features.kept[:, 0], [1, 0, 1, 0, 0])
    shares = legible_shares(features, collect_features(images[[0, 2]], extractor))
    assert shares["legible_share"] == pytest.approx(0.4)
    # Of a share p of n images: the root of p (1 - p) / (n - 1).
    assert shares["legible_share_stderr"] == pytest.approx((0.4 * 0.6 / 4) ** 0.5)
    assert shares["legible_share_of_data"] == 1.0 and shares["legible_share_of_data_stderr"] == 0.0


def network(**outputs):
    images = keras.Input((4, 4, 1))
    flat = keras.layers.Flatten()(images)
    own = {name: keras.layers.Dense(size)(flat) for name, size in outputs.items()}
    return keras.Model(images, own)


def test_a_network_with_outputs_for_both_gives_both():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype=np.uint8)
    model = network(features=5, certainty=2)
    extractor = as_extractor(model)
    assert extractor.check((4, 4, 1)) == 5 and extractor.legibility.check((4, 4, 1)) == 1
    given = model(images.astype(np.float32))
    np.testing.assert_allclose(extractor(images), given["features"], rtol=1e-5)
    legible = (given["certainty"].numpy() > 0.9).all(axis=1)
    np.testing.assert_array_equal(extractor.legibility(images)[:, 0], legible)
    assert as_extractor(network(features=5)).legibility is None
    with pytest.raises(UserError, match="expected an output features, got logits, other"):
        as_extractor(network(logits=1, other=2))
