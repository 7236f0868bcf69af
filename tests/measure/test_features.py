"""Features of images: what an extractor takes, and what stays the same."""

import numpy as np
import pytest
import tensorflow as tf

from pcvae import training
from pcvae.errors import UserError
from pcvae.measure import features as module
from pcvae.measure.features import FeatureExtractor, collect_features


def moments(images):
    """A function on arrays: mean and standard deviation of each channel."""
    assert images.dtype == np.uint8
    images = images.astype(np.float32)
    return np.concatenate([images.mean((1, 2)), images.std((1, 2))], axis=1)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (11, 6, 8, 3), dtype=np.uint8)


def test_batches_and_the_ragged_last_one_change_nothing(images):
    expected = moments(images)
    for batch_size in (1, 4, 16):
        result = collect_features(images, FeatureExtractor(moments, "moments"), batch_size)
        assert result.statistics.count == 11
        np.testing.assert_allclose(result.statistics.sum, expected.sum(0), rtol=1e-6)
        np.testing.assert_allclose(result.kept, expected, rtol=1e-6)


@pytest.mark.parametrize("in_graph", [True, False])
def test_two_replicas_equal_one_device(images, in_graph):
    def function(images):
        return tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2])

    extractor = FeatureExtractor(function, "means", in_graph=in_graph)
    one = collect_features(images, extractor, batch_size=4)
    with training.make_strategy("mirrored", ("CPU:0", "CPU:1")).scope():
        two = collect_features(images, extractor, batch_size=4)
    np.testing.assert_array_equal(one.kept, two.kept)
    np.testing.assert_array_equal(one.statistics.outer, two.statistics.outer)


def test_kept_features_spread_over_the_whole_set(images, monkeypatch):
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    result = collect_features(images, FeatureExtractor(moments, "moments"), batch_size=4)
    np.testing.assert_allclose(result.kept, moments(images[[0, 5, 10]]), rtol=1e-6)
    assert result.statistics.count == 11


def test_sizes_are_resized_only_when_asked(images):
    taken = []

    def function(batch):
        taken.append(batch)
        return batch.reshape(len(batch), -1)

    extractor = FeatureExtractor(function, "small", input_shape=(3, 4, 3), resize="area")
    assert extractor.check((6, 8, 3)) == 36
    collect_features(images[:2], extractor)
    block_means = images[:2].reshape(2, 3, 2, 4, 2, 3).mean((2, 4))
    assert np.abs(taken[-1][:2] - block_means).max() <= 0.5  # rounded to 8 bits, once
    assert (
        extractor.protocol((6, 8, 3))["resize"]
        == "area, antialiased, to 3x4, then rounded to 8 bits"
    )
    with pytest.raises(UserError, match="takes images of 3x4, got 6x8: .*--extractor_resize="):
        FeatureExtractor(function, "small", input_shape=(3, 4, 3)).check((6, 8, 3))
    with pytest.raises(UserError, match="resize: expected one of"):
        FeatureExtractor(function, "small", input_shape=(3, 4, 3), resize="nearest")
    with pytest.raises(UserError, match="images of any size"):
        FeatureExtractor(function, "small", resize="area")


def test_grey_is_repeated_and_said_and_other_channels_are_refused(images):
    grey = images[..., :1]
    extractor = FeatureExtractor(moments, "colour", input_shape=(None, None, 3))
    result = collect_features(grey, extractor)
    np.testing.assert_allclose(result.kept, moments(grey.repeat(3, axis=-1)), rtol=1e-6)
    assert extractor.protocol(grey.shape[1:])["channels"] == "grey, repeated 3 times"
    for channels in (2, 4):
        with pytest.raises(UserError, match=f"takes images of 3 channels, got {channels}"):
            extractor.check((6, 8, channels))
        assert FeatureExtractor(moments, "any").check((6, 8, channels)) == 2 * channels


def test_what_gives_no_features_is_one_line(images):
    def wrong_rank(images):
        return images

    def fails(images):
        raise RuntimeError("no\nway")

    def infinite(images):
        return moments(images) * (np.inf if images.any() else 1.0)

    for function, says in (
        (wrong_rank, r"expected features \[images, features\], got the shape \(2, 6, 8, 3\)"),
        (fails, r"fails on images of shape \[6, 8, 3\]: no$"),
        (infinite, "features of images 0 to 10 are not finite"),
    ):
        with pytest.raises(UserError, match=says):
            collect_features(images, FeatureExtractor(function, "wrong"))


def test_what_no_memory_holds_is_refused_before_it_is_made(images):
    zero = np.float32(0.0)
    wide = FeatureExtractor(lambda images: np.broadcast_to(zero, (len(images), 10**7)), "wide")
    with pytest.raises(UserError, match="wide with 10,000,000 features takes .* GiB for their"):
        wide.check(images.shape[1:])
    with pytest.raises(UserError, match="batch_size=1000000000000 takes .* GiB for the pixels"):
        collect_features(images, FeatureExtractor(moments, "moments"), 10**12)


def test_images_that_are_none_are_refused(images):
    """Pixels in [0, 1] would give features, and a number, of nearly black pictures."""
    extractor = FeatureExtractor(lambda batch: batch[:, 0, 0], "corner")
    for given, says in ((images / 255.0, "got float64 with 4 axes"), (images[:0], "got none")):
        with pytest.raises(UserError, match=says):
            collect_features(given, extractor)
