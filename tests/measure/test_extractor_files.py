"""Extractors from callables, Keras models, SavedModels and the frozen graph's node names."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae.errors import UserError
from pcvae.measure.extractor_files import as_extractor, file_sha256
from pcvae.measure.features import collect_features


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 127.5, -1.0),
            keras.layers.Conv2D(4, 3, strides=2),
            keras.layers.GlobalAveragePooling2D(),
        ],
        name="tiny",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("extractors")
    model.save(folder / "tiny.keras")
    model.export(folder / "tiny_saved_model", verbose=False)
    (folder / "inception.pb").write_bytes(frozen_graph())
    return folder


def frozen_graph():
    """A small graph with the names, the batch of one and the unused parts of that of 2015."""
    graph = tf.Graph()
    with graph.as_default():
        v1 = tf.compat.v1
        contents = tf.constant("", name="DecodeJpeg/contents")
        picture = tf.io.decode_jpeg(contents, channels=3, name="DecodeJpeg")
        picture = v1.ensure_shape(tf.cast(picture, tf.float32, name="Cast"), (7, 5, 3))
        batch = tf.expand_dims(picture, 0, name="ExpandDims")
        resized = v1.image.resize_bilinear(batch, (4, 4), name="ResizeBilinear")
        scaled = (resized - 128.0) * (1 / 128)
        kernel = np.random.default_rng(1).standard_normal((2, 2, 3, 6)).astype(np.float32)
        features = tf.nn.relu(tf.nn.conv2d(scaled, kernel, 1, "VALID"))
        pooled = tf.nn.avg_pool2d(features, 3, 1, "VALID", name="pool_3")
        tf.nn.softmax(tf.reshape(pooled, [1, 6]), name="softmax")
    return graph.as_graph_def(add_shapes=True).SerializeToString()


def by_hand(images):
    """What the frozen graph computes, without it."""
    scaled = (tf.compat.v1.image.resize_bilinear(images.astype(np.float32), (4, 4)) - 128.0) / 128.0
    kernel = np.random.default_rng(1).standard_normal((2, 2, 3, 6)).astype(np.float32)
    return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(scaled, kernel, 1, "VALID")), axis=[1, 2]).numpy()


def test_model_file_and_saved_model_give_the_models_features(images, model, folder):
    expected = model(images.astype(np.float32)).numpy()
    for source in (model, folder / "tiny.keras", str(folder / "tiny_saved_model")):
        extractor = as_extractor(source)
        result = collect_features(images, extractor, batch_size=2)
        np.testing.assert_allclose(result.kept, expected, rtol=1e-4, atol=1e-5)
        protocol = extractor.protocol(images.shape[1:])
        assert protocol["num_features"] == 4
        assert protocol["extractor"].startswith("tiny")
        assert len(protocol["extractor_sha256"]) == 64
        with pytest.raises(UserError, match="takes images of 8x8, got 16x16"):
            extractor.check((16, 16, 3))


def test_a_saved_model_outlives_the_name_it_was_loaded_by(images, model, folder):
    """Signatures hold their variables weakly."""
    first = collect_features(images, as_extractor(folder / "tiny_saved_model"))
    expected = model(images.astype(np.float32))
    np.testing.assert_allclose(first.kept, expected, rtol=1e-4, atol=1e-5)


def test_frozen_graph_takes_any_batch_and_size(images, folder):
    extractor = as_extractor(folder / "inception.pb")
    result = collect_features(images, extractor, batch_size=2)
    np.testing.assert_allclose(result.kept, by_hand(images), rtol=1e-4, atol=1e-5)
    assert extractor.protocol((8, 8, 3))["resize"] == "inside the graph"
    wide = np.random.default_rng(2).integers(0, 256, (3, 6, 12, 3), dtype=np.uint8)
    result = collect_features(wide, extractor)
    np.testing.assert_allclose(result.kept, by_hand(wide), rtol=1e-4, atol=1e-5)


def test_hashes_tell_weights_apart(model, folder, tmp_path):
    before = as_extractor(model).sha256
    other = keras.models.clone_model(model)
    other.set_weights([weight + 0.1 for weight in model.get_weights()])
    assert as_extractor(other).sha256 != before
    other.set_weights(model.get_weights())
    assert as_extractor(other).sha256 == before == as_extractor(model).sha256
    (tmp_path / "a").write_bytes(b"1")
    one = file_sha256(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert file_sha256(tmp_path) != one


def test_mistakes_are_one_line(folder, tmp_path):
    (tmp_path / "broken.keras").write_bytes(b"no model")
    (tmp_path / "broken.pb").write_bytes(b"no graph")
    (tmp_path / "other.pb").write_bytes(tf.Graph().as_graph_def().SerializeToString())
    (tmp_path / "text.txt").write_text("x")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"no model")
    for source, says in (
        (tmp_path / "none.pb", "there is no file"),
        (tmp_path / "text.txt", "expected a callable, a Keras model"),
        (tmp_path / "broken.keras", "Keras cannot read"),
        (tmp_path / "broken.pb", "no frozen TensorFlow graph"),
        (tmp_path / "other.pb", "no node ExpandDims and no node pool_3"),
        (tmp_path / "saved", "TensorFlow cannot read"),
        (3, "expected a callable"),
        (keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)], name="flat"), "of images"),
    ):
        with pytest.raises(UserError, match=says) as error:
            as_extractor(source)
        assert "\n" not in str(error.value)
