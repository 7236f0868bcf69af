"""Features of a reference are computed once for an extractor and its images."""

import keras
import numpy as np

from pcvae.measure import FeatureExtractor, as_extractor
from pcvae.runs.reference_features import images_sha256, reference_features


def moments(images):
    images = images.astype(np.float32)
    return np.concatenate([images.mean((1, 2)), images.std((1, 2))], axis=1)


def test_the_cache_knows_extractor_and_images(tmp_path, monkeypatch):
    monkeypatch.setenv("PCVAE_CACHE_DIR", str(tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    network = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(4)]
    )

    def measure(images=images, network=network):
        extractor = network if isinstance(network, FeatureExtractor) else as_extractor(network)
        extractor.check(images.shape[1:])
        statistics, kept = reference_features(images, images_sha256(images), extractor, 8)
        np.testing.assert_allclose(statistics.sum, kept.sum(axis=0), rtol=1e-5)
        return statistics

    def files():
        return sorted((tmp_path / "features").glob("*.npz"))

    first = measure()
    (cached,) = files()
    written = cached.stat().st_mtime_ns
    again = measure()
    np.testing.assert_array_equal(again.outer, first.outer)
    assert again.count == first.count == 30
    assert cached.stat().st_mtime_ns == written
    cached.write_bytes(b"damaged")
    np.testing.assert_array_equal(measure().outer, first.outer)
    measure(images[:29])
    assert len(files()) == 2
    network.layers[-1].bias.assign_add([1.0, 0.0, 0.0, 0.0])
    moved = measure()
    np.testing.assert_allclose(moved.mean - first.mean, [1, 0, 0, 0], atol=1e-3)
    assert len(files()) == 3
    measure(network=FeatureExtractor(moments, "moments"))  # a function has no hash
    assert len(files()) == 3


def test_hashes_of_images_tell_shapes_and_pixels_apart():
    images = np.arange(64, dtype=np.uint8).reshape(2, 4, 4, 2)
    changed = images.copy()
    changed[1, 3, 3, 1] += 1
    hashes = {images_sha256(array) for array in (images, images.reshape(4, 4, 2, 2), changed)}
    assert len(hashes) == 3
    assert images_sha256(np.asfortranarray(images)) in hashes
