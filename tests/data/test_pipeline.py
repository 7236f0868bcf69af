import numpy as np
import pytest
import tensorflow as tf

from pcvae.data import batch_indices, training_batches
from pcvae.errors import UserError

NUM_IMAGES = 23


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A memory map whose every image differs."""
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, 4, 4, 3), np.uint8))
    return np.load(path, mmap_mode="r")


def as_list(dataset, count):
    return list(dataset.take(count).as_numpy_iterator())


def assert_equal(batches, others):
    assert len(batches) == len(others) > 0
    for batch, other in zip(batches, others, strict=True):
        assert np.array_equal(batch["images"], other["images"])
        assert batch["first_example"] == other["first_example"]


def test_batches_hold_the_images_that_the_order_names(images):
    for step, batch in enumerate(as_list(training_batches(images, 8, seed=3), 10)):
        expected = images[batch_indices(3, step, 8, NUM_IMAGES)]
        assert np.array_equal(batch["images"], expected)
        assert batch["first_example"] == 0


def test_shapes_are_static(images):
    spec = training_batches(images, 8, seed=0).element_spec
    assert spec["images"] == tf.TensorSpec([8, 4, 4, 3], tf.uint8)
    assert spec["first_example"] == tf.TensorSpec([], tf.int64)


@pytest.mark.parametrize("first_step", [1, 5, 100])
def test_starting_later_equals_skipping(images, first_step):
    later = training_batches(images, 6, seed=1, first_step=first_step)
    skipped = training_batches(images, 6, seed=1).skip(first_step)
    assert_equal(as_list(later, 4), as_list(skipped, 4))


def test_a_number_of_steps_ends_the_stream(images):
    batches = list(training_batches(images, 6, seed=1, first_step=7, num_steps=3))
    assert len(batches) == 3
    endless = training_batches(images, 6, seed=1, first_step=7)
    assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
    assert_equal(batches, as_list(endless, 3))


def test_a_far_step_is_reached_at_once(images):
    batch = next(iter(training_batches(images, 6, seed=1, first_step=10**12)))
    expected = images[batch_indices(1, 10**12, 6, NUM_IMAGES)]
    assert np.array_equal(batch["images"], expected)


@pytest.mark.parametrize(("pipelines", "replicas"), [(1, 1), (1, 2), (2, 2), (2, 4), (4, 4)])
def test_replicas_share_the_batch_of_one_device(images, pipelines, replicas):
    whole = as_list(training_batches(images, 8, seed=2, first_step=4), 3)
    own, local = replicas // pipelines, 8 // replicas
    streams = [
        as_list(
            training_batches(
                images,
                8,
                seed=2,
                first_step=4,
                input_context=tf.distribute.InputContext(pipelines, pipeline, replicas),
            ),
            3 * own,
        )
        for pipeline in range(pipelines)
    ]
    for step, batch in enumerate(whole):
        slices = [s for stream in streams for s in stream[step * own : (step + 1) * own]]
        assert [s["first_example"] for s in slices] == [i * local for i in range(replicas)]
        assert np.array_equal(np.concatenate([s["images"] for s in slices]), batch["images"])


def test_two_mirrored_devices_see_the_batch_of_one(images):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    distributed = strategy.distribute_datasets_from_function(
        lambda context: training_batches(images, 6, seed=5, first_step=2, input_context=context)
    )
    iterator = iter(distributed)

    @tf.function
    def local_parts():
        return strategy.run(lambda batch: batch, args=(next(iterator),))

    for batch in as_list(training_batches(images, 6, seed=5, first_step=2), 6):
        parts = local_parts()
        halves = strategy.experimental_local_results(parts["images"])
        places = strategy.experimental_local_results(parts["first_example"])
        assert [int(place) for place in places] == [0, 3]
        assert all(half.shape == (3, 4, 4, 3) for half in halves)
        assert np.array_equal(np.concatenate(halves), batch["images"])


@pytest.mark.parametrize(("batch_size", "replicas"), [(7, 2), (2, 4), (0, 1), (-4, 2)])
def test_a_batch_that_cannot_be_shared_equally_is_refused(images, batch_size, replicas):
    context = tf.distribute.InputContext(1, 0, replicas)
    with pytest.raises(UserError, match="global batch size") as raised:
        training_batches(images, batch_size, seed=0, input_context=context)
    assert "\n" not in str(raised.value)
