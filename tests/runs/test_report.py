"""The page of a run and the comparison of runs, from the files of untrained runs."""

import json
import re
import shutil

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from pcvae import quantities, runs, training
from pcvae.cli.commands import compare as command
from pcvae.errors import UserError
from pcvae.quantities import measured
from pcvae.runs.compare import comparison_rows, differences, labels_of, reasons
from pcvae.show.plots import COLOURS
from tests.runs.untrained_run import write_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs, one of them with a log, a curve and hostile names; both evaluated."""
    folder = tmp_path_factory.mktemp("runs") / "a<b>&"
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    for seed, (name, count) in enumerate((("one", 5), ("two", 1))):
        np.savez(folder / f"{name}.npz", train=images, validation=images, test=images[:count])
        write_run(folder / name, folder / f"{name}.npz", seed=seed)
    (folder / "one" / "config.gin").write_text("NAME = '<script>alert(1)</script>'\n")
    log = training.ScalarLog(folder / "one" / "summaries", "train")
    for step in range(1, 9):
        tags = {quantities.RATE.tag: 0.1 * step, quantities.SKIPPED_UPDATES.tag: step / 2}
        log.scalars(step, {**tags, quantities.LAGRANGE_MULTIPLIER: 2.0**step})
    log.close()
    for name in ("one", "two"):
        runs.evaluate(run_dir=folder / name)
    runs.rate_distortion(run_dir=folder / "one")
    return folder


def test_every_number_of_the_record_stands_on_the_page_with_its_unit(folder):
    page = (folder / "one" / "report.html").read_text()
    record = json.loads((folder / "one" / "results" / "evaluation.json").read_text())
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page)
    for item in measured(record):
        at = cells.index(item.text)
        assert cells[at + 1] == item.quantity.unit
    for rate in record["rate_nats_per_level"]:
        assert any(cell.startswith(f"{rate:.4f} +- ") for cell in cells)
    assert {"rate (bits/dim)", "rate (nats/image)"} <= set(re.findall(r"<th[^>]*>(.*?)</th>", page))


def test_a_rate_that_has_a_target_is_told_in_its_unit_first(folder, tmp_path):
    run_dir = shutil.copytree(folder / "two", tmp_path / "run")
    run = json.loads((run_dir / "run.json").read_text())

    def units(unit):
        target = {"quantity": "rate_nats_per_dim", "target": 0.1, "unit": unit, "num_levels": None}
        (run_dir / "run.json").write_text(json.dumps({**run, "constraints": [target]}))
        headers = re.findall(r"<th[^>]*>(.*?)</th>", runs.write_report(run_dir).read_text())
        rates = [name for name in headers if name.startswith("rate") and name.endswith("/dim)")]
        return [name[-9:-1] for name in rates]

    assert units("nats/dim") == 2 * ["nats/dim", "bits/dim"]
    assert units("bits/dim") == 2 * ["bits/dim", "nats/dim"]


def test_the_page_holds_curves_findings_configuration_and_protocol(folder):
    page = (folder / "one" / "report.html").read_text()
    assert page.count("<svg") == 6  # rate, skipped updates, multiplier; MSE, PSNR, resolutions
    assert "50.00% of 8" in page
    assert "&lt;script&gt;alert" in page
    assert "<script" not in page
    assert "spec</th>" in page
    assert "pcvae-rate-distortion" not in page
    assert "pcvae-rate-distortion" in (folder / "two" / "report.html").read_text()


def test_what_was_found_stands_in_a_file_of_its_own(folder):
    findings = json.loads((folder / "one" / "results" / "health.json").read_text())
    found = {finding["name"]: finding for finding in findings}
    assert found["skipped updates"]["severity"] == "error"
    assert found["skipped updates"]["value"] == 50.0


def test_an_evaluation_of_one_image_has_no_errors(folder):
    page = (folder / "two" / "report.html").read_text()
    assert "+- " not in page.replace("after +- stands", "")


def test_another_output_leaves_the_page_alone(folder, tmp_path):
    before = (folder / "two" / "report.html").read_text()
    runs.evaluate(run_dir=folder / "two", output=tmp_path / "e.json")
    assert (folder / "two" / "report.html").read_text() == before
    assert not (tmp_path / "e.html").exists()


def test_a_record_of_an_older_version_is_shown(folder, tmp_path):
    old = write_run(tmp_path / "old", folder / "one.npz")
    record = json.loads((folder / "one" / "results" / "evaluation.json").read_text())
    for name in ("image_shape", "level_resolutions"):
        del record[name]
    (old / "results").mkdir()
    (old / "results" / "evaluation.json").write_text(json.dumps(record))
    assert "dead levels" in runs.write_report(old).read_text()


def test_the_command_compares_runs(folder, tmp_path, capsys):
    output = tmp_path / "comparison"
    argv = [str(folder / "one"), f"--output={output}", str(folder / "two")]
    assert command.main(argv) == 0
    out = capsys.readouterr().out
    assert "different numbers of images (one: 5; two: 1)" in out
    entries = json.loads((output / "comparison.json").read_text())
    assert [entry["label"] for entry in entries] == ["one", "two"]
    page = (output / "comparison.html").read_text()
    for entry in entries:
        for item in measured(entry["evaluation"]):
            line = next(
                line
                for line in out.splitlines()
                if line.split("  ")[0] == item.quantity.name and f" {item.quantity.unit} " in line
            )
            assert item.text in line
            assert item.text in page
    plot = np.asarray(Image.open(output / "rate_distortion.png"))
    for index, found in ((0, True), (1, True), (2, False)):  # a colour for each run
        colour = np.round(255 * np.array(to_rgb(COLOURS[index])))
        assert (plot == colour).all(axis=-1).any() == found
    assert "a<b>&" not in page
    assert "a&lt;b&gt;&amp;" in page


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["one"], "expected two or more run directories, got 1"),
        (["one", "one"], "expected different runs"),
        (["one", "three"], "three: there is no such directory"),
    ],
)
def test_runs_that_cannot_be_compared(folder, names, says, capsys):
    assert command.main([str(folder / name) for name in names]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_what_the_page_cannot_be_made_of_is_told_before_the_evaluation(folder, tmp_path):
    run = write_run(tmp_path / "run", folder / "one.npz")
    (run / "summaries").mkdir()
    log = run / "summaries" / "train.jsonl"
    for line in ('{"step": 1, "rate/total_bits_per_dim": "x"}', '{"step": NaN}', "[1]", "\xff"):
        log.write_bytes(line.encode("latin-1") + b"\n")
        with pytest.raises(UserError, match="line 1 is not a JSON object of numbers with a 'step'"):
            runs.evaluate(run_dir=run)
    log.unlink()
    with pytest.raises(UserError, match=r"one\.npz: expected a folder"):
        runs.evaluate(run_dir=run, output=folder / "one.npz" / "e.json")
    assert not (run / "results").exists()
    (run / "results").mkdir()
    (run / "results" / "evaluation.json").write_text("[")
    for work in (runs.rate_distortion, runs.progressive):
        with pytest.raises(UserError, match=r"evaluation\.json: .* got no JSON"):
            work(run_dir=run)
    assert not (run / "images").exists()
    runs.evaluate(run_dir=run)  # which repairs it


def test_a_run_without_an_evaluation_is_named(folder, tmp_path):
    new = write_run(tmp_path / "new", folder / "one.npz")
    with pytest.raises(UserError, match=r"evaluation\.json: expected the record"):
        runs.compare(run_dirs=[folder / "one", new], output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_labels_are_as_long_as_it_takes():
    assert labels_of(["/x/a", "/x/b"]) == ["a", "b"]
    assert labels_of(["/x/s1/a", "/x/s2/a", "/x/s2/b"]) == ["s1/a", "s2/a", "b"]


def test_what_differs_between_evaluations():
    one = {"split": "test", "data": {"spec": "x"}, "image_shape": [8, 8, 3]}
    assert differences({"a": one, "b": dict(one)}) == []
    lines = differences({"a": one, "b": {**one, "image_shape": [16, 16, 3]}})
    assert lines == [
        "The runs were evaluated on different image shapes, so that a dimension is not the same "
        "(a: 8x8x3; b: 16x16x3)."
    ]


def test_evaluations_of_different_weights_or_steps_are_told_apart():
    """An older record that does not say its step is not taken for one of the same."""
    one = {"weights": "ema", "step": 100, "data": {"spec": "synthetic:16"}}
    assert differences({"a": one, "b": {**one, "data": {"spec": "synthetic"}}}) == []
    assert differences({"a": one, "b": {**one, "weights": "raw", "step": 200}}) == [
        "The runs were evaluated with different kinds of weights (a: ema; b: raw).",
        "The runs were evaluated after different numbers of steps (a: 100; b: 200).",
    ]
    old = {name: one[name] for name in ("weights", "data")}
    assert differences({"a": one, "old": old}) == [
        "The runs were evaluated after different numbers of steps (a: 100; old: unknown)."
    ]


def test_numbers_of_different_protocols_are_told_apart():
    protocol = {"extractor": "a", "num_samples": 9, "validity": ["x"], "data": {"spec": "s"}}
    one = {"frechet_protocol": protocol, "importance_samples": 5}
    assert differences({"a": one, "b": one, "without": {}}) == []
    other = {**protocol, "num_samples": 8, "validity": [], "resize": "area"}
    assert differences({"a": one, "b": {"frechet_protocol": other, "importance_samples": 2}}) == [
        "The runs were evaluated on different numbers of importance samples (a: 5; b: 2).",
        "The runs differ in frechet_protocol, num_samples (a: 9; b: 8).",
        "The runs differ in frechet_protocol, resize (a: none; b: area).",
    ]


def test_a_reason_stands_below_the_table():
    record = {"ms_ssim": None, "ms_ssim_reason": "too small"}
    (row,) = comparison_rows({"a": record, "b": {}})
    assert row["texts"] == ["none", "-"]
    assert reasons({"a": record, "b": {}}) == ["There is no MS-SSIM of a: too small."]
