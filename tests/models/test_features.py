"""Features of images are what the head sees, whatever the batches."""

import numpy as np
import pytest

from pcvae.errors import UserError
from tests.models import tiny
from tests.models.test_keras_numbers import COUNT, MODELS

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.mark.parametrize("name", MODELS)
def test_the_head_makes_the_reconstruction_of_features(name):
    make, condition = MODELS[name]
    model, images = make(), tiny.random_images(COUNT)
    given = {} if condition is None else {"condition": condition()}
    features = model.features(images, batch_size=3, **given)
    assert features.dtype == np.float32
    mean = model.head.mean(model.head(features))
    np.testing.assert_allclose(mean, model(images, **given).reconstruction, atol=1e-5)
    with pytest.raises(UserError, match="expected uint8"):
        model.features(images.astype(np.float32), **given)
