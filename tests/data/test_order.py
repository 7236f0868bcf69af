import collections
import itertools

import numpy as np
import pytest

from pcvae.data.order import batch_indices, chosen_indices, slice_indices


def epochs(seed, num_images, count):
    """The first epochs, [count, num_images]."""
    return slice_indices(seed, 0, count * num_images, num_images).reshape(count, num_images)


def correlation(a, b):
    return np.corrcoef(a, b)[0, 1]


@pytest.mark.parametrize("num_images", [1, 2, 3, 7, 64, 1000, 50_000])
def test_every_epoch_is_a_permutation(num_images):
    for order in epochs(0, num_images, 5):
        assert np.array_equal(np.sort(order), np.arange(num_images))


def test_epochs_and_seeds_give_orders_that_know_nothing_of_each_other():
    size = 20_000
    orders = [*epochs(0, size, 2), np.arange(size)]
    orders += [epochs(seed, size, 1)[0] for seed in (1, 256, 2**32, -1)]
    limit = 4 / np.sqrt(size)
    for a, b in itertools.combinations(orders, 2):
        assert abs(correlation(a, b)) < limit
    for order in orders[:2]:
        assert abs(correlation(order[:-1], order[1:])) < limit


def test_permutations_are_equally_likely():
    count = 6000
    found = collections.Counter(order.tobytes() for order in epochs(3, 3, count))
    assert len(found) == 6
    deviations = np.array(list(found.values())) - count / 6
    assert np.sum(deviations**2) / (count / 6) < 20.5  # chi squared, 5 degrees, 0.1 per cent


def test_orders_do_not_repeat():
    assert len({order.tobytes() for order in epochs(0, 40, 2000)}) == 2000


@pytest.mark.parametrize(("num_images", "batch_size"), [(10, 4), (10, 10), (3, 8), (1, 5), (7, 1)])
def test_batches_are_slices_of_the_endless_order(num_images, batch_size):
    steps = 12
    batches = [batch_indices(5, step, batch_size, num_images) for step in range(steps)]
    count = -(-steps * batch_size // num_images)
    endless = epochs(5, num_images, count).ravel()
    assert np.array_equal(np.concatenate(batches), endless[: steps * batch_size])
    assert all(batch.dtype == np.int64 and batch.shape == (batch_size,) for batch in batches)


def test_late_steps_do_not_overflow():
    step, num_images = 10**14, 50_000
    batches = [batch_indices(0, step + i, 1000, num_images) for i in range(50)]
    # 10^14 steps of 1000 images are a whole number of epochs: the 50 batches are the next one.
    assert np.array_equal(np.sort(np.concatenate(batches)), np.arange(num_images))
    assert not np.array_equal(np.concatenate(batches), epochs(0, num_images, 1)[0])


def test_steps_may_be_numpy_integers():
    expected = batch_indices(-7, 2**40, 6, 25)
    assert np.array_equal(batch_indices(-7, np.int64(2**40), 6, 25), expected)


def test_the_order_is_the_same_for_ever():
    # A change here would change every training run that resumes.
    assert batch_indices(0, 0, 8, 1000).tolist() == [998, 162, 670, 664, 185, 322, 431, 318]
    assert batch_indices(1, 200, 4, 1000).tolist() == [401, 678, 446, 744]


def test_a_choice_is_by_the_seed_and_not_the_first_ones():
    chosen = [chosen_indices(seed, 8, 1000) for seed in range(3)]
    for indices in chosen:
        assert len(set(indices)) == 8
        assert (np.diff(indices) > 0).all()
        assert indices.max() >= 8
    assert len({tuple(indices) for indices in chosen}) == 3
    assert np.array_equal(chosen[0], chosen_indices(0, 8, 1000))
    # Every image is chosen as often as any other.
    counts = np.bincount(np.concatenate([chosen_indices(s, 3, 10) for s in range(2000)]))
    assert np.abs(counts - 600).max() < 5 * np.sqrt(2000 * 0.3 * 0.7)


def test_all_are_chosen_where_there_are_no_more():
    assert np.array_equal(chosen_indices(3, 8, 5), np.arange(5))


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="num_images"):
        batch_indices(0, 0, 4, 0)
