"""Keras' callbacks act on a model with their defaults, and its options are used or refused."""

import keras
import numpy as np
import pytest

from pcvae.errors import UserError
from tests.models import tiny

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eagerly")]


@pytest.fixture
def model():
    model = tiny.vdvae()
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    return model


def fit(model, callbacks, epochs=3, count=4):
    images = tiny.random_images(count)
    return model.fit(
        images, batch_size=4, epochs=epochs, validation_data=images, verbose=0, callbacks=callbacks
    )


def test_training_that_gains_nothing_stops_and_slows_down(model):
    stop = keras.callbacks.EarlyStopping(min_delta=1e6)
    slow = keras.callbacks.ReduceLROnPlateau(min_delta=1e6, patience=1)
    history = fit(model, [stop, slow], epochs=6)
    assert len(history.epoch) == 2
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-4)


@pytest.mark.parametrize("metric", ["negative_elbo", "nll", "rate"])
def test_less_of_every_metric_is_better(model, metric):
    stop = keras.callbacks.EarlyStopping(f"val_{metric}_bits_per_dim", patience=1)
    fit(model, [stop], epochs=1)
    assert stop.monitor_op is keras.ops.less


def test_no_number_ends_training(model):
    model.weights[0].assign(model.weights[0] * np.nan)
    assert len(fit(model, [keras.callbacks.TerminateOnNaN()]).epoch) == 1


def test_the_best_model_is_kept_and_comes_back(model, tmp_path):
    keep = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True)
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    board = keras.callbacks.TensorBoard(tmp_path / "board")
    history = fit(model, [keep, log, board], epochs=2).history
    again = keras.saving.load_model(tmp_path / "best.keras")
    images = tiny.random_images(4)
    best = again.evaluate(images, verbose=0, return_dict=True)["loss"]
    assert best == pytest.approx(min(history["val_loss"]), rel=1e-5)
    names = (tmp_path / "log.csv").read_text().splitlines()[0].split(",")
    assert {"loss", "val_loss", "val_rate_bits_per_dim"} <= set(names)
    assert list((tmp_path / "board" / "validation").glob("events*"))


def test_interrupted_training_goes_on_where_it_was(tmp_path):
    def train(epochs, folder):
        model = tiny.vdvae()
        model.compile(optimizer=keras.optimizers.Adam(1e-3))
        backup = keras.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
        fit(model, [backup], epochs)
        return model

    train(1, tmp_path / "a")
    again, whole = train(2, tmp_path / "a"), train(2, tmp_path / "b")
    for one, other in zip(again.weights, whole.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{"loss": "mse"}, {"metrics": ["mae"]}, {"weighted_metrics": ["mae"]}, {"loss_weights": [2.0]}],
)
def test_losses_and_metrics_of_others_are_refused(options):
    with pytest.raises(UserError, match=rf"compile: expected no {next(iter(options))}, got") as e:
        tiny.vdvae().compile(optimizer="adam", **options)
    assert "\n" not in str(e.value)


def test_a_model_that_is_held_whole_is_not_fitted(model):
    model.trainable = False
    model.compile(optimizer="adam")
    with pytest.raises(UserError, match="all are frozen"):
        fit(model, [])


def test_other_targets_and_classes_without_labels_are_refused(model):
    images = tiny.random_images(4)
    with pytest.raises(UserError, match="no targets beside its images"):
        model.fit(images, 255 - images, verbose=0)
    with pytest.raises(UserError, match="class_weight: expected the classes"):
        model.fit(images, class_weight={0: 1.0}, verbose=0)


def test_the_size_of_images_is_one_line_after_use_too(model):
    images = tiny.random_images(4)
    large = images.repeat(2, axis=1).repeat(2, axis=2)
    for loop in (model.fit, model.evaluate, model.predict):
        loop(images, verbose=0)
        with pytest.raises(UserError, match=r"expected uint8 \[batch, 4, 4, 3\].*got") as error:
            loop(large, verbose=0)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("head", ["linear", "gaussian"])
def test_predictions_of_any_head(head):
    model, images = tiny.vdvae(head=head), tiny.random_images(3)
    output, expected = model.predict(images, batch_size=2, verbose=0), model(images)
    np.testing.assert_allclose(output.reconstruction, expected.reconstruction, atol=1e-6)
    assert (output.nll is None) == (head == "linear")
    assert model.predict_on_batch(images).head_params.shape == expected.head_params.shape


def test_an_export_names_where_it_is_made(model):
    with pytest.raises(UserError, match=r"pcvae\.export\.export_model\(model, 'there'\)"):
        model.export("there")


def test_a_part_of_another_model_reports_nothing():
    class Part(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = tiny.vdvae()

        def call(self, images):
            return self.inner(images).reconstruction

    assert Part().metrics == []
