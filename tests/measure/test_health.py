"""What is said of a run: each finding at its threshold."""

import pytest

from pcvae.measure import (
    Finding,
    TrainingSeries,
    constraint_results,
    health_findings,
    health_lines,
    health_summary,
)

RECORD = {
    "num_images": 10,
    "split": "test",
    "negative_elbo_bits_per_dim": 3.0,
    "negative_elbo_bits_per_dim_stderr": 0.01,
    "distortion_mse": 0.1,
    "distortion_mse_stderr": None,
    "rate_nats_per_level": [2.0, 1.0, 0.5],
    "rate_nats_per_level_stderr": [None, None, None],
}
SERIES = TrainingSeries(
    steps=[1, 500, 1000],
    skipped_updates=[0, 0, 0],
    data_wait_fraction=[0.9, 0.05, 0.05],
    nonfinite=[0, 0, 0],
    negative_elbo_bits_per_dim=[9.0, 4.0, 2.99],
    distortion_mse=[0.5, 0.2, 0.1],
)
RESOLUTIONS = [1, 4, 8]


def finding(name, record=RECORD, series=SERIES, **arguments):
    (found,) = (
        found
        for found in health_findings(record, RESOLUTIONS, series, **arguments)
        if found.name == name
    )
    return found


def constraint(distortion_mse, num_levels=None):
    """What an evaluation says of a distortion that may be 0.02."""
    asked = {"quantity": "distortion_mse", "target": 0.02, "num_levels": num_levels}
    (result,) = constraint_results([asked], {"distortion_mse": distortion_mse}, (8, 8, 3))
    return result


def test_nothing_is_found_where_nothing_is_wrong():
    findings = health_findings(RECORD, RESOLUTIONS, SERIES)
    assert {found.severity for found in findings} == {"ok"}
    assert not any(found.remedy for found in findings)
    assert health_lines(findings) == ["health: 5 checks, nothing found"]
    assert health_summary(findings) == ["health: 5 checks, nothing found"]


def test_a_record_alone_is_enough():
    assert len(health_findings(RECORD, RESOLUTIONS)) == 2


def test_dead_levels_are_named():
    record = {**RECORD, "rate_nats_per_level": [0.5, 0.0099, 0.01]}
    found = finding("dead levels", record)
    assert (found.severity, found.value, found.unit) == ("warning", 1, "levels")
    assert found.statement.endswith("1 of 3: 1 (4x4)")
    assert "FREE_BITS_NATS_PER_LEVEL" in found.remedy


def test_dead_levels_are_those_whose_rates_are_learned():
    """The rates of levels in a group with a name follow from a noise schedule."""
    record = {**RECORD, "rate_nats_per_level": [0.0, 0.001, 0.002]}
    for groups, count in (([4, 4, 8], 3), (["0-1", "0-1", 8], 1), (["0-1", "0-1", "2-2"], None)):
        dead = [f.value for f in health_findings(record, groups) if f.name == "dead levels"]
        assert dead == ([] if count is None else [count])


def test_levels_at_the_floor_of_the_free_bits():
    found = finding("levels at the floor", free_bits_nats_per_level=0.96)
    assert (found.severity, found.value) == ("warning", 2)
    assert found.statement.endswith("2 of 3: 1 (4x4), 2 (8x8)")
    assert finding("levels at the floor", free_bits_nats_per_level=0.1).severity == "ok"


@pytest.mark.parametrize(
    ("skipped", "severity"), [(9, "ok"), (10, "warning"), (99, "warning"), (100, "error")]
)
def test_share_of_skipped_updates(skipped, severity):
    found = finding("skipped updates", series=SERIES._replace(skipped_updates=[0, 0, skipped]))
    assert found.severity == severity
    assert found.value == pytest.approx(skipped / 10.0)
    assert found.unit == "% of updates"


def test_what_is_not_finite_is_counted():
    record = {**RECORD, "distortion_mse": None, "rate_nats_per_level": [None, 1.0, None]}
    found = finding("values that are not finite", record, SERIES._replace(nonfinite=[0, 2, 0]))
    assert (found.severity, found.value) == ("error", 5)
    assert found.statement.endswith("3 in the evaluation, 2 in the training log")


def test_a_number_with_a_reason_and_the_error_of_one_image_are_no_faults():
    record = {**RECORD, "ms_ssim": None, "ms_ssim_reason": "too small", "ms_ssim_stderr": None}
    assert finding("values that are not finite", record).severity == "ok"


def test_waiting_for_data_leaves_the_first_report_out():
    found = finding("data wait", series=SERIES._replace(data_wait_fraction=[0.0, 0.2, 0.4]))
    assert (found.severity, found.value) == ("warning", pytest.approx(30.0))


def test_gap_between_test_and_training():
    wide = finding("gap to training", {**RECORD, "negative_elbo_bits_per_dim": 3.2})
    assert (wide.severity, wide.unit) == ("warning", "bits/dim")
    assert wide.value == pytest.approx(0.21)
    noisy = {**RECORD, "negative_elbo_bits_per_dim": 3.2, "negative_elbo_bits_per_dim_stderr": 0.2}
    assert finding("gap to training", noisy).severity == "ok"
    one = {**RECORD, "negative_elbo_bits_per_dim": 3.2, "negative_elbo_bits_per_dim_stderr": None}
    assert finding("gap to training", one).severity == "ok"
    assert finding("gap to training", {**RECORD, "split": "train"}).severity == "ok"


def test_gap_of_a_run_without_a_likelihood_is_that_of_the_distortion():
    record = {k: v for k, v in RECORD.items() if "elbo" not in k}
    record |= {"distortion_mse": 0.2, "distortion_mse_stderr": 0.01}
    found = finding("gap to training", record, SERIES._replace(negative_elbo_bits_per_dim=[]))
    assert (found.severity, found.unit, found.value) == ("warning", "mse", pytest.approx(0.1))


def test_distance_to_the_constraint():
    found = finding("distance to the constraint", {**RECORD, "constraints": [constraint(0.02)]})
    assert found.severity == "ok"
    record = {**RECORD, "constraints": [constraint(0.025)]}
    found = finding("distance to the constraint", record)
    assert (found.severity, found.value, found.unit) == (
        "warning",
        pytest.approx(25.0),
        "% of the target",
    )
    assert found.statement.endswith("target 0.02 mse, gap +0.005 (+25.0%)")
    assert f"{found.statement}; {found.remedy}" == record["constraints"][0]["statement"]
    findings = health_findings(record, RESOLUTIONS, SERIES)
    assert health_summary(findings) == [f"health: {found.statement}"]
    assert health_lines(findings) == [f"health, warning: {found.statement}; try: {found.remedy}"]


def test_a_constraint_that_is_met_is_named_first():
    result = constraint(0.02)
    findings = health_findings({**RECORD, "constraints": [result]}, RESOLUTIONS, SERIES)
    said = [result["statement"], "health: 6 checks, nothing found"]
    assert health_lines(findings) == health_summary(findings) == said


def test_images_of_other_data_say_nothing_of_what_was_learnt():
    """Of a run that was trained on other images nobody can say that it knows its own by heart."""
    record = {
        **RECORD,
        "negative_elbo_bits_per_dim": 9.0,
        "rate_nats_per_level": [0.0, 1.0, None],
        "constraints": [constraint(0.5)],
    }
    findings = health_findings(record, RESOLUTIONS, SERIES, own_data=False)
    wrong = [finding.name for finding in findings if finding.severity != "ok"]
    assert wrong == ["values that are not finite"]
    own = health_findings(record, RESOLUTIONS, SERIES)
    assert {"gap to training", "dead levels"} <= {item.name for item in own if item.remedy}


@pytest.mark.parametrize(
    ("values", "severity", "factor"),
    [
        ([1.0, 2.0, 2.0, 2.1], "ok", 1.05),
        ([1.0, 2.0, 2.0, 3.0], "warning", 1.5),
        ([1.0, 2.0, 2.0, 1.0], "warning", 0.5),
        ([1.0, 2.0, 2.0, None], "warning", None),
    ],
)
def test_trend_of_the_multiplier(values, severity, factor):
    record = {**RECORD, "constraints": [constraint(0.02, num_levels=2)]}
    found = finding("trend of the multiplier", record, SERIES._replace(multipliers={2: values}))
    assert found.severity == severity
    assert found.value == pytest.approx(factor)
    assert "of the first 2 levels" in found.statement


def test_the_worst_comes_first_and_says_what_to_try():
    record = {**RECORD, "rate_nats_per_level": [0.0, 1.0, 1.0], "distortion_mse": None}
    findings = health_findings(record, RESOLUTIONS)
    assert [found.severity for found in findings] == ["error", "warning"]
    for line, found in zip(health_lines(findings), findings, strict=True):
        assert line == f"health, {found.severity}: {found.statement}; try: {found.remedy}"
    assert all(isinstance(found, Finding) and found.remedy for found in findings)
