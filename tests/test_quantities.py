"""The table of an evaluation: every number with its unit."""

import re

from pcvae.quantities import (
    CURVES,
    LAGRANGE_MULTIPLIER,
    QUANTITIES,
    constrained_prefixes,
    constraint_tag,
    evaluation_table,
    measured,
)
from pcvae.tables import number_text, text_table


def test_a_number_with_its_error_and_without():
    assert number_text(1.23456, 0.001, 3) == "1.235 +- 0.001"
    assert number_text(1.0, None, 2) == "1.00"
    assert number_text(None) == "not finite"


def test_columns_are_aligned():
    assert text_table([("a", "bb"), ("long", "c")], left=(0,)) == "a     bb\nlong   c"


def test_every_number_of_a_record_stands_in_the_table_with_its_unit():
    record = {
        "num_images": 5,
        "seed": 3,
        "rate_bits_per_dim": 0.25,
        "rate_bits_per_dim_stderr": None,
        "psnr_db": None,
        "psnr_db_stderr": None,
        "new_thing_nats": 7.5,
        "new_thing_nats_stderr": 0.5,
        "rate_nats_per_level": [1.0],
        "frechet_protocol": {"num_samples": 10},
    }
    lines = evaluation_table(record).splitlines()
    assert [line.split() for line in lines] == [
        ["quantity", "value", "unit"],
        ["rate", "0.2500", "bits/dim"],
        ["PSNR", "not", "finite", "dB"],
        ["new_thing_nats", "7.50000", "+-", "0.50000", "nats"],
    ]


def test_a_number_that_cannot_be_says_why():
    (item,) = measured({"ms_ssim": None, "ms_ssim_reason": "too small"})
    assert (item.text, item.reason) == ("none", "too small")
    table = evaluation_table({"ms_ssim": None, "ms_ssim_reason": "too small"})
    assert re.split("  +", table.splitlines()[-1]) == ["MS-SSIM", "none", "too small"]


def test_numbers_that_are_too_large_for_decimals():
    assert number_text(12.3456, 0.5, 2) == "12.35 +- 0.50"
    assert number_text(-1.28105e11, 5.95e10, 5) == "-1.281e+11 +- 5.95e+10"


def test_keys_and_tags_are_each_of_one_quantity():
    keys = [quantity.key for quantity in {*QUANTITIES, *CURVES}]
    tags = [quantity.tag for quantity in {*QUANTITIES, *CURVES} if quantity.tag]
    assert len(set(keys)) == len(keys)
    assert len(set(tags)) == len(tags)


def test_the_prefixes_of_constraints_are_found_in_their_tags():
    tags = [constraint_tag(LAGRANGE_MULTIPLIER, prefix) for prefix in (12, None, 3)]
    assert tags[0] == "lagrange/multiplier_prefix_012"
    assert constrained_prefixes(["step", *tags, "lagrange/target"]) == [None, 3, 12]
