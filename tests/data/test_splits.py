import hashlib
import unicodedata

import numpy as np
import pytest

from pcvae.data.splits import held_out_count, place, split_by_name
from pcvae.errors import UserError


def named_split(names, **fractions):
    members = split_by_name(names, "a test", **fractions)
    return {split: {names[i] for i in positions} for split, positions in members.items()}


NAMES = [f"holiday/{i:04d}.jpg" for i in range(3000)]


def test_the_place_is_the_head_of_the_sha256_of_the_name():
    head = int(hashlib.sha256(b"a/b.png").hexdigest()[:16], 16) / 2**64
    assert place("a/b.png") == pytest.approx(head, abs=2**-50)


def test_places_are_uniform():
    places = np.sort([place(name) for name in NAMES])
    assert places[0] >= 0.0 and places[-1] < 1.0
    largest_gap = np.abs(places - np.arange(len(places)) / len(places)).max()
    assert largest_gap < 1.95 / np.sqrt(len(places))  # Kolmogorov-Smirnov at 0.1 per cent


def test_composed_and_decomposed_accents_fall_alike():
    name = "café.png"
    assert place(unicodedata.normalize("NFD", name)) == place(unicodedata.normalize("NFC", name))


def test_a_name_that_is_not_utf8_has_a_place():
    assert 0.0 <= place(b"caf\xe9.png".decode("utf-8", "surrogateescape")) < 1.0


def test_splits_are_disjoint_cover_all_and_keep_order():
    members = split_by_name(NAMES, "a test")
    assert sorted(sum(members.values(), [])) == list(range(len(NAMES)))
    assert all(positions == sorted(positions) for positions in members.values())


def test_shares_follow_the_fractions():
    sizes = {split: len(names) for split, names in named_split(NAMES).items()}
    for split, share in {"train": 0.8, "validation": 0.1, "test": 0.1}.items():
        deviation = np.sqrt(len(NAMES) * share * (1 - share))
        assert abs(sizes[split] - share * len(NAMES)) < 4 * deviation


def test_adding_files_moves_no_other():
    before = named_split(NAMES[::3])
    after = named_split(NAMES)
    for split, names in before.items():
        assert names <= after[split]


def test_no_split_of_a_small_set_is_empty_and_training_images_stay_so():
    for first in range(0, 400, 8):
        trained = set()
        for count in range(8, 40):
            members = named_split(NAMES[first : first + count])
            assert all(members.values())
            assert trained <= members["train"]
            trained = members["train"]


def test_a_test_image_by_the_rule_stays_one():
    low = [name for name in NAMES if place(name) < 0.1]
    assert set(low) == named_split(NAMES)["test"]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_images_are_refused(count):
    with pytest.raises(UserError, match="too few"):
        split_by_name(NAMES[:count], "a test")


@pytest.mark.parametrize("fractions", [(0.0, 0.1), (0.5, 0.5), (-0.1, 0.3), (0.1, 1.5)])
def test_fractions_that_leave_nothing_are_refused(fractions):
    with pytest.raises(UserError, match="fraction"):
        split_by_name(NAMES, "a test", *fractions)


def test_cifar10_holds_out_its_customary_validation_split():
    assert held_out_count(50_000) == 5_000
    assert held_out_count(1_281_167) == 5_000
    assert held_out_count(60) == 6
