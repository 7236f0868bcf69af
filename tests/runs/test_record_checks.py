"""Records that were damaged, or written by somebody else: one line, before anything is made."""

import json
import math
import shutil

import pytest

from pcvae import measure
from pcvae.cli.commands import compare as command
from pcvae.errors import UserError
from pcvae.files import write_json
from pcvae.runs.record_checks import fault_of_run
from pcvae.runs.run_directory import RunDirectory

MEANS = ("negative_elbo_bits_per_dim", "nll_bits_per_dim", "rate_bits_per_dim", "distortion_mse")
TARGET = {"quantity": "distortion_mse", "target": 0.03, "num_levels": None}
RECORD = {
    "num_images": 2,
    "split": "test",
    "image_shape": [8, 8, 3],
    "level_resolutions": [1, 8],
    "level_groups": ["0-0", 8],
    "rate_nats_per_level": [1.0, None],
    "rate_nats_per_level_stderr": [0.1, None],
    **{name: 1.0 for name in (*MEANS, "psnr_db")},
    **{f"{name}_stderr": 0.5 for name in (*MEANS, "psnr_db")},
    "constraints": measure.constraint_results([TARGET], {"distortion_mse": 0.05}, (8, 8, 3), [1.0]),
    "of_a_later_version": {"anything": [True, "x"]},
}
ROW = {"decoder": "own", "rate_bits_per_dim": 1.0, "distortion_mse": 0.1, "psnr_db": 16.0}
HOSTILE = ("x", True, -1, 1.5, 1e200, [], {}, [None], ["x", 1.0], [[]], {"a": 1})


@pytest.fixture
def run_dir(tmp_path):
    (tmp_path / "run" / "results").mkdir(parents=True)
    (tmp_path / "run" / "model.json").write_text("{}")
    return tmp_path / "run"


def refused(run_dir, text, name="evaluation", read=RunDirectory.evaluation):
    (run_dir / "results" / f"{name}.json").write_text(text)
    with pytest.raises(UserError) as error:
        read(RunDirectory(run_dir))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(run_dir)) * 2 + 300
    return str(error.value)


@pytest.mark.parametrize("value", ["x", [], {}, {"spec": 1}])
def test_where_images_come_from_is_a_spec(run_dir, value):
    assert f"got data {value!r}" in refused(run_dir, json.dumps({**RECORD, "data": value}))
    assert "data.from_spec" in fault_of_run({"data": value, "batch_size": 4})


def test_a_record_is_read_as_it_is(run_dir):
    (run_dir / "results" / "evaluation.json").write_text(json.dumps(RECORD))
    assert RunDirectory(run_dir).evaluation() == RECORD
    (run_dir / "results" / "rate_distortion.json").write_text(json.dumps([ROW]))
    assert RunDirectory(run_dir).curve() == [ROW]


def test_a_file_that_never_ends_is_not_read(run_dir):
    (run_dir / "results" / "evaluation.json").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="no plain file"):
        RunDirectory(run_dir).evaluation()


@pytest.mark.parametrize("name", [name for name in RECORD if name != "of_a_later_version"])
def test_a_value_of_another_kind_is_named(run_dir, name):
    fine = {
        "num_images": (),
        "split": ("x",),
        "constraints": ([],),
        **{mean: (-1, 1.5) for mean in (*MEANS, "psnr_db")},
        **{f"{mean}_stderr": (1.5,) for mean in (*MEANS, "psnr_db")},
    }.get(name, ())
    for value in HOSTILE:
        if value not in fine or isinstance(value, bool):
            says = refused(run_dir, json.dumps(RECORD | {name: value}))
            assert "expected the record of an evaluation, got" in says
            # Rates of another number of levels do not go with the resolutions.
            assert name in says or "a constraint" in says or "level_resolutions [1, 8]" in says
            assert f"pcvae-evaluate --run_dir={run_dir}" in says


def test_what_is_missing_is_named(run_dir):
    for name in ("split", "psnr_db", "psnr_db_stderr", "nll_bits_per_dim", "level_resolutions"):
        text = json.dumps({key: value for key, value in RECORD.items() if key != name})
        assert name in refused(run_dir, text)


def test_files_that_are_no_record(run_dir):
    def with_number(text):
        return json.dumps(RECORD).replace("0.5", text, 1)

    for text, says in (
        ("", "Expecting value"),
        ("null", "got NoneType"),
        ("[" * 100_000, "nesting without end"),
        (with_number("NaN"), "NaN, which is no number"),
        (with_number("1e999"), "inf"),
        (with_number("9" * 5000), "digits"),
        (json.dumps(RECORD)[:99], "got"),
    ):
        assert says in refused(run_dir, text)


def test_curves_that_are_none(run_dir):
    for rows in (
        {},
        [1],
        [{**ROW, "decoder": 1}],
        [{**ROW, "psnr_db": "x"}],
        [{**ROW, "psnr_db_stderr": -1.0}],
        [{"decoder": "own"}],
    ):
        says = refused(run_dir, json.dumps(rows), "rate_distortion", RunDirectory.curve)
        assert "expected a rate-distortion curve" in says


def test_runs_that_are_none():
    run = {"data": None, "batch_size": 4}
    target = TARGET
    assert fault_of_run({**run, "constraints": [target], "free_bits_nats_per_level": 0}) is None
    for change in (
        {"batch_size": "4"},
        {"batch_size": 0},
        {"micro_batches": 0},
        {"constraints": {}},
        {"constraints": [{**target, "target": 0.0}]},
        {"constraints": [{"quantity": "distortion_mse", "num_levels": None}]},
        {"constraints": [target, None]},
        {"constraints": [{**target, "num_levels": "1"}]},
        {"constraints": [{**target, "quantity": "speed"}]},
        {"free_bits_nats_per_level": None},
    ):
        (name,) = change
        assert name.removesuffix("s") in fault_of_run({**run, **change})


def test_the_command_says_so_and_makes_nothing(run_dir, tmp_path, capsys):
    (run_dir / "results" / "evaluation.json").write_text(json.dumps({**RECORD, "split": 7}))
    shutil.copytree(run_dir, tmp_path / "two")
    output = tmp_path / "comparison"
    assert command.main([str(run_dir), str(tmp_path / "two"), f"--output={output}"]) == 2
    error = capsys.readouterr().err
    assert "got split 7" in error
    assert error.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize("told", ["Infinity", None])
def test_an_infinite_psnr_is_read_as_it_is_and_as_older_versions_wrote_it(tmp_path, told):
    directory = RunDirectory(tmp_path)
    exact = {**RECORD, "psnr_db": math.inf, "psnr_db_stderr": None}
    write_json(exact, directory.evaluation_json)
    write_json([{**ROW, "psnr_db": math.inf}], directory.curve_json)
    for path in (directory.evaluation_json, directory.curve_json):
        text = path.read_text()
        assert '"psnr_db": "Infinity"' in text
        path.write_text(text.replace('"Infinity"', json.dumps(told)))
    assert directory.evaluation() == exact
    assert directory.curve() == [{**ROW, "psnr_db": math.inf}]
    for name in ("distortion_mse", "psnr_db_stderr"):
        write_json({**exact, name: math.inf}, directory.evaluation_json)
        with pytest.raises(UserError, match=f"{name} 'Infinity'"):
            directory.evaluation()
