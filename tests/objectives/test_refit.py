"""The objective of the refit: a sum of errors, one for each prefix."""

import numpy as np
import tensorflow as tf

from pcvae.objectives import PrefixDistortion, mse
from pcvae.outputs import VDVAEOutput


def test_the_loss_is_the_sum_of_the_errors_and_the_rate_the_true_one():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 2), dtype=np.uint8)
    reconstructions = {
        k: tf.random.stateless_uniform(images.shape, (k, 0), -1.0, 1.0) for k in (1, 3)
    }
    rates = tf.constant([[1.0, 2.0, 4.0]] * 3)
    output = VDVAEOutput(None, reconstructions[3], (), rates, None, reconstructions)
    terms = PrefixDistortion()(output, images, 0)
    errors = {k: mse(images, reconstruction) for k, reconstruction in reconstructions.items()}
    np.testing.assert_allclose(terms.loss, errors[1] + errors[3], rtol=1e-6)
    np.testing.assert_array_equal(terms.distortion, errors[3])
    np.testing.assert_array_equal(terms.rate, [7.0] * 3)
    assert set(terms.metrics) == {"distortion/prefix_001_mse", "distortion/prefix_003_mse"}
    np.testing.assert_array_equal(terms.metrics["distortion/prefix_001_mse"], errors[1])
    assert terms.constraints == () and terms.constraint_gaps is None
