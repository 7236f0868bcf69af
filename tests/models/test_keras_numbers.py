"""The numbers of Keras' loops hang on seed and data, not on how the data are cut into batches."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from pcvae import models
from pcvae.errors import UserError
from pcvae.measure import LikelihoodEvaluation
from tests.models import tiny

# What is computed is no promise of the graph; that graphs give the same is in test_keras_graphs.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eagerly")]

COUNT = 7  # no multiple of a batch
LABELS = {"condition": "label", "num_classes": 3}


def _labels():
    return np.arange(COUNT) % 3


def _staged():
    first = tiny.first_stage()
    return models.StagedVAE([first, tiny.next_stage([first])])


# {name: (function that makes a model, its conditions)}
MODELS = {
    "vdvae": (tiny.vdvae, None),
    "labels": (functools.partial(tiny.conditional, **LABELS), _labels),
    "staged": (_staged, None),
}
TWO = ("CPU:0", "CPU:1")


def compiled(make, replicas=1, rate=0.1, optimizer=None, **options):
    """A model that Keras trains by plain gradients, over one replica or two."""
    if replicas == 1:
        strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    else:
        operations = tf.distribute.ReductionToOneDevice()
        strategy = tf.distribute.MirroredStrategy(TWO, cross_device_ops=operations)
    with strategy.scope():
        model = make()
        model.compile(optimizer=keras.optimizers.SGD(rate, **(optimizer or {})), **options)
    return model


def fitted(model, count=COUNT, condition=None, **arguments):
    """The weights that one epoch in order leads to, and what it logs."""
    own = None if condition is None else condition[:count]
    images = tiny.random_images(count)
    logs = model.fit(images, own, epochs=1, shuffle=False, verbose=0, **arguments).history
    return {name: weight.numpy() for name, weight in model.named_weights.items()}, logs


def assert_same(one, other):
    (weights, logs), (other_weights, other_logs) = one, other
    for name, weight in weights.items():
        np.testing.assert_allclose(other_weights[name], weight, rtol=1e-5, atol=1e-6, err_msg=name)
    assert logs.keys() == other_logs.keys()
    for name in logs:
        np.testing.assert_allclose(other_logs[name], logs[name], rtol=1e-5)


def case_of(name):
    make, condition = MODELS[name]
    return make, None if condition is None else condition()


@pytest.fixture(params=MODELS)
def case(request):
    return case_of(request.param)


# The last batch has one image for two replicas, or one more than the other replica has.
@pytest.mark.parametrize(
    ("name", "batch_size"),
    [
        ("vdvae", 6),
        ("staged", 8),
    ],
)
def test_two_replicas_move_the_weights_as_one_does(name, batch_size):
    make, condition = case_of(name)
    one, two = (
        fitted(compiled(make, replicas), condition=condition, batch_size=batch_size)
        for replicas in (1, 2)
    )
    assert any((one[0][name] != w.numpy()).any() for name, w in make().named_weights.items())
    assert_same(one, two)


def test_micro_batches_move_the_weights_as_one_batch_does(case):
    make, condition = case
    parts = {"gradient_accumulation_steps": 2}
    whole = fitted(compiled(make), 4, condition, batch_size=4)
    assert_same(whole, fitted(compiled(make, optimizer=parts), 4, condition, batch_size=2))


def test_micro_batches_on_two_replicas_are_refused():
    model = compiled(tiny.vdvae, 2, optimizer={"gradient_accumulation_steps": 2})
    with pytest.raises(UserError, match="gradient_accumulation_steps=2 works on one device alone"):
        fitted(model)


@pytest.mark.parametrize(
    ("name", "replicas", "batch_size"),
    [
        ("vdvae", 1, 3),
        ("labels", 2, 8),
        ("staged", 2, 3),
    ],
)
def test_evaluate_and_predict_give_one_number(name, replicas, batch_size):
    """An image draws the noise of its index, as in `LikelihoodEvaluation` and `model(images)`."""
    make, condition = case_of(name)
    model = compiled(make, replicas)
    images = tiny.random_images(COUNT)
    expected = model(images, **({} if condition is None else {"condition": condition}))
    nats = expected.nll + tf.reduce_sum(expected.rate_per_level, axis=1)
    for _ in range(2 // replicas):  # the second time it begins anew
        logs = model.evaluate(images, condition, batch_size, verbose=0, return_dict=True)
        assert logs["loss"] == pytest.approx(np.mean(nats) / 48, rel=1e-6)
        given = images if condition is None else (images, condition)
        output = model.predict(given, batch_size=batch_size, verbose=0)
        np.testing.assert_allclose(output.rate_per_level, expected.rate_per_level, rtol=1e-5)
        np.testing.assert_allclose(output.reconstruction, expected.reconstruction, atol=1e-5)
    if replicas == 1:
        nll = model.predict_on_batch(given).nll
        assert nll == pytest.approx(expected.nll.numpy(), rel=1e-5)
    if condition is None and replicas == 1:
        record = LikelihoodEvaluation(model, batch_size)(images, seed=0)
        key = "negative_elbo_bits_per_dim"
        assert logs[key] == pytest.approx(record[key], rel=1e-6)


def test_every_kind_of_data_gives_the_same_number():
    model, images = compiled(tiny.vdvae), tiny.random_images(COUNT)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return (images[3 * index : 3 * index + 3],)

    data = tf.data.Dataset.from_tensor_slices(images).batch(2)
    generator = ((images[start : start + 4],) for start in (0, 4))
    kinds = (images, data, data.map(lambda x: {"images": x}), Batches(), generator)
    losses = [model.evaluate(kind, verbose=0, return_dict=True)["loss"] for kind in kinds]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)


def test_predictions_between_do_not_change_an_evaluation():
    model, images = compiled(tiny.vdvae), tiny.random_images(COUNT)
    look = keras.callbacks.LambdaCallback()
    look.on_test_batch_end = lambda *_, **__: model.predict(images[:2], verbose=0)
    arguments = {"batch_size": 3, "verbose": 0}
    assert model.evaluate(images, callbacks=[look], **arguments) == model.evaluate(
        images, **arguments
    )


def test_images_of_weight_zero_move_nothing():
    make, condition = case_of("labels")
    model = compiled(make)
    before = {name: weight.numpy() for name, weight in model.named_weights.items()}
    after, _ = fitted(model, 4, condition, batch_size=4, sample_weight=np.zeros(4))
    for name, weight in before.items():
        np.testing.assert_array_equal(after[name], weight)


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_weight_of_two_moves_twice_as_far_and_two_halves_are_one_whole(replicas):
    weights = np.array([2.0, 0.0, 0.0, 0.0], np.float32)
    weighted, _ = fitted(compiled(tiny.vdvae, replicas), 4, batch_size=4, sample_weight=weights)
    # The mean over four images, of which one counts twice, is half the mean over that one.
    alone, _ = fitted(compiled(tiny.vdvae, rate=0.05), 1, batch_size=1)
    for name, weight in alone.items():
        np.testing.assert_allclose(weighted[name], weight, rtol=1e-5, atol=1e-6)


def test_evaluations_are_weighted_as_keras_weights():
    model, images = compiled(tiny.vdvae), tiny.random_images(4)
    output, weights = model(images), np.array([1.0, 0.0, 3.0, 1.0], np.float32)
    logs = model.evaluate(
        images, sample_weight=weights[:, None], batch_size=3, verbose=0, return_dict=True
    )
    nats = output.nll.numpy() + output.rate_per_level.numpy().sum(axis=1)
    assert logs["loss"] == pytest.approx((weights * nats).sum() / 4 / 48, rel=1e-5)
    bits = np.average(nats, weights=weights) / 48 / np.log(2.0)
    assert logs["negative_elbo_bits_per_dim"] == pytest.approx(bits, rel=1e-5)
    with pytest.raises(UserError, match=r"sample_weight: expected one number for each image"):
        model.evaluate(images, sample_weight=np.ones((4, 2)), verbose=0)
    for wrong in (np.ones(3), [1, 1, 1, np.nan], [1, 1, 1, -1], "heavy"):
        for loop in (model.evaluate, model.fit):
            with pytest.raises(UserError, match=r"sample_weight: .*finite and not negative"):
                loop(images, sample_weight=wrong, verbose=0)
    with pytest.raises(UserError, match="sample_weight: expected some above 0"):
        model.evaluate(images, sample_weight=np.zeros(4), verbose=0)


def test_weights_of_classes_are_those_of_their_images():
    labels = np.array([0, 1, 2, 1])
    make = functools.partial(tiny.conditional, **LABELS)
    by_class = fitted(compiled(make), 4, labels, class_weight={0: 2.0, 1: 0.0, 2: 1.0})
    weights = np.array([2.0, 0.0, 1.0, 0.0], np.float32)
    assert_same(by_class, fitted(compiled(make), 4, labels, sample_weight=weights))
