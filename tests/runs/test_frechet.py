"""The Frechet distance of a run: its protocol, its cache, and what changes nothing."""

import json

import keras
import numpy as np
import pytest

from pcvae import data, measure, models
from pcvae.errors import UserError
from pcvae.runs import frechet as frechet_function
from pcvae.runs import frechet_record, load
from pcvae.runs.frechet import frechet_lines
from pcvae.runs.reference_features import images_sha256
from tests.models import tiny
from tests.runs.untrained_run import write_run

pytestmark = pytest.mark.slow


def moments(images):
    images = images.astype(np.float32) / 255.0
    return np.concatenate([images.mean((1, 2)), images.std((1, 2))], axis=1)


class Copies:
    """A model that draws the images it was given: its distance from them is known."""

    def __init__(self, images):
        self.images, self.image_shape = images, images.shape[1:]

    def sample(self, num_samples, temperature, seed, first_sample, pixels):
        return self.images[first_sample : first_sample + num_samples]


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, pictures):
    path = tmp_path_factory.mktemp("arrays") / "pictures.npz"
    np.savez(path, train=pictures[:40], validation=pictures[40:41], test=pictures[41:])
    return data.from_spec(f"arrays:{path}")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, dataset):
    path = dataset.origin["spec"].partition(":")[2]
    return write_run(tmp_path_factory.mktemp("runs") / "run", path)


@pytest.fixture(scope="module")
def network():
    images = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(keras.layers.Conv2D(5, 3)(images))
    features = keras.layers.Dense(4)(keras.layers.Rescaling(0.01)(flat))
    means = keras.layers.GlobalAveragePooling2D()(images)
    outputs = {"features": features, "certainty": keras.layers.Rescaling(0.9 / 127.5)(means)}
    return keras.Model(images, outputs, name="network")


def test_images_against_themselves_a_shifted_copy_and_the_other_half(dataset, pictures):
    train = dataset.images("train")

    def distance(images, **options):
        record = frechet_record(Copies(images), dataset, extractor=moments, **options)
        return record["frechet_distance"]

    assert distance(train) == pytest.approx(0.0, abs=1e-9)
    brighter = np.minimum(train // 2 + 51, 255).astype(np.uint8)
    expected = measure.frechet_distance(moments(brighter), moments(train))
    assert distance(brighter) == pytest.approx(expected, rel=1e-4)
    own, other = (moments(part) for part in np.split(train, 2))
    half = distance(pictures[20:40], num_images=20, num_samples=20)
    assert half == pytest.approx(measure.frechet_distance(other, own), rel=1e-4)


def test_record_tells_what_the_numbers_hang_on(run_dir, dataset, network):
    record = frechet_function(
        run_dir=run_dir, extractor=network, num_samples=3, num_images=30, temperature=0.5, seed=4
    )
    json.dumps(record, allow_nan=False)
    protocol = record["frechet_protocol"]
    assert protocol | {"extractor_sha256": None} == {
        "num_samples": 3,
        "num_images": 30,
        "data": dataset.origin,
        "split": "train",
        "data_sha256": images_sha256(dataset.images("train")[:30]),
        "extractor": "network",
        "extractor_sha256": None,
        "num_features": 4,
        "resize": "none: the images have the extractor's size",
        "channels": "as they are",
        "rounded_to_8_bits": True,
        "pixels": "samples of the head",
        "temperature": 0.5,
        "weights": "ema",
        "seed": 4,
        "validity": [
            "covariance of the samples is singular: 3 images, 4 features; compare only with equal N"
        ],
    }
    line, doubt = frechet_lines(record)
    assert "3 samples, samples of the head, temperature 0.5, ema weights, against 30 images" in line
    assert doubt in protocol["validity"]
    model = load(run_dir)
    samples = model.sample(3, 0.5, seed=4)
    given = [network.predict(x, verbose=0) for x in (samples, dataset.images("train")[:30])]
    expected = measure.frechet_distance(*(outputs["features"] for outputs in given))
    assert record["frechet_distance"] == pytest.approx(expected, rel=1e-5)
    legible = [(outputs["certainty"] > 0.9).all(axis=1).mean() for outputs in given]
    assert record["legible_share"] == pytest.approx(legible[0])
    assert record["legible_share_of_data"] == pytest.approx(legible[1]) and 0 < legible[1] < 1


def test_what_cannot_be_measured_is_one_line(dataset, pictures, run_dir):
    model = Copies(pictures)
    for options, says in (
        ({"split": "validation"}, "the validation split has one"),
        ({"num_samples": 1}, "num_samples: .*got 1"),
        ({"num_images": 1}, "num_images: .* 40, got 1"),
        ({"num_images": 41}, "num_images: .* 40, got 41"),
        ({"extractor": "synthetic"}, "takes squares of 16 to 256 pixels"),
        ({"extractor": "synthetic:8"}, "expected synthetic:SIZE"),
        ({"split": "all"}, "no split 'all'"),
    ):
        with pytest.raises(UserError, match=says) as error:
            frechet_record(model, dataset, **{"extractor": moments, **options})
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="temperature"):
        frechet_function(run_dir=run_dir, extractor=moments, temperature=-1.0)


def conditional(**condition):
    model = models.ConditionalVDVAE(**tiny.LARGER_ARGUMENTS, **condition)
    return tiny.random_weights(model, 0.2)  # gates start closed, and then no condition matters


def test_a_conditional_model_is_given_what_follows_from_held_out_images(dataset, pictures):
    model, test = conditional(condition_shape=(4, 4, 3)), pictures[41:]
    asked = {"extractor": moments, "seed": 3, "split": "train"}
    record = frechet_record(model, dataset, num_samples=25, batch_size=8, **asked)
    given = model.natural_condition(test[np.arange(25) % 19])
    samples = model.sample(25, seed=3, condition=given)
    expected = measure.frechet_distance(moments(samples), moments(pictures[:40]))
    assert record["frechet_distance"] == pytest.approx(expected, rel=1e-4)
    other = model.sample(25, seed=3, condition=given[::-1])
    assert (other != samples).any()
    protocol = record["frechet_protocol"]
    assert "(4, 4, 3) of the 19 images of the test split, in turn" in protocol["condition"]
    assert protocol["validity"] == ["conditions repeat: 19 for 25 samples"]
    protocol = frechet_record(model, dataset, **(asked | {"split": "test"}))["frechet_protocol"]
    assert protocol["num_samples"] == 19
    assert protocol["validity"] == ["conditions are those of the reference images themselves"]
    with pytest.raises(UserError, match="labels from 0 to 2, which do not follow from images"):
        frechet_record(conditional(condition="label", num_classes=3), dataset, **asked)
