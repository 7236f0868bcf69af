"""Commands made of other commands, with the real parts at a tiny size."""

import json

import pytest
from PIL import Image

from pcvae.cli.commands import sweep, table1
from tests.cli.tiny_steps import TINY, assert_starts_nothing, write_pictures


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("data"))


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_table1_compares_the_runs_of_its_steps(
    data, steps_in_this_process, eagerly, few_pictures, tmp_path, capfd
):
    folder = tmp_path / "table"
    arguments = [f"--run_dir={folder}", f"--data={data}", "--prefix=1x1"]
    assert table1.main([*arguments, *TINY]) == 0, capfd.readouterr().err
    (row,) = read(folder / "results" / "table1.json")["rows"]
    elbo = read(folder / "seed_0" / "elbo" / "results" / "rate_distortion.json")
    (refit,) = [point for point in elbo if point["decoder"] == "refit"]
    targeted = read(folder / "seed_0" / "rate" / "results" / "evaluation.json")
    (constraint,) = targeted["constraints"]
    # The target of the third step is the rate that the second has measured.
    assert constraint["target"] == refit["rate_nats_per_dim"]
    assert row["conventional_rate_nats_per_dim"] == refit["rate_nats_per_dim"]
    assert row["conventional_distortion_mse"] == refit["distortion_mse"]
    assert row["targeted_distortion_mse"] == targeted["distortion_mse"]
    assert row["distortion_ratio"] == targeted["distortion_mse"] / refit["distortion_mse"]
    assert row["num_levels"] == 2
    assert f"{row['distortion_ratio']:.3f}" in capfd.readouterr().out
    for name in ("table1.png", "reconstructions_seed_0.png"):
        assert Image.open(folder / "images" / name).size[0] > 100


@pytest.mark.slow
def test_sweep_makes_the_runs_of_train(
    data, steps_in_this_process, eagerly, few_pictures, tmp_path, capfd
):
    folder = tmp_path / "sweep"
    arguments = [
        "--gin_file=experiments/synthetic_rate.gin",
        "--knob=RATE_TARGET_NATS_PER_DIM",
        f"--run_dir={folder}",
        f"--data={data}",
        *TINY,
    ]
    assert sweep.main([*arguments, "--values=0.01,0.02"]) == 0, capfd.readouterr().err
    rows = read(folder / "results" / "sweep.json")
    assert [found["constraints"][0]["target"] for found in rows] == [0.01, 0.02]
    record = read(folder / "RATE_TARGET_NATS_PER_DIM=0.02" / "results" / "evaluation.json")
    assert rows[1]["distortion_mse"] == record["distortion_mse"]
    assert Image.open(folder / "images" / "sweep.png").size[0] > 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--gin_file is missing"),
        (["--gin_file=experiments/synthetic_rate.gin"], "--knob=NAME and --values"),
        (
            ["--gin_file=experiments/synthetic_rate.gin", "--knob=SEED", "--values=1,1"],
            "expected different values, got 1,1",
        ),
        (["--gin_file=experiments/synthetic_rate.gin", "--knob=SEEED", "--values=1"], "SEEED"),
    ],
)
def test_a_sweep_that_cannot_be_run_starts_nothing(
    arguments, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert_starts_nothing(sweep.main, arguments, message, capsys, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds=a"], "--seeds: expected whole numbers, got a"),
        (["--seeds=1,1"], "--seeds: expected different numbers, got 1,1"),
        (["--seeds=0,-1"], "seed: expected an integer from 0"),
        (["--prefix=4x5"], "--prefix: expected a resolution such as 4x4 or a number of levels"),
        (["--gin.SEED=5"], "--gin.SEED: pcvae-table1 sets it itself (see --seeds)"),
        (["--dataset=mnist"], "svhn"),
    ],
)
def test_a_table_that_cannot_be_made_starts_nothing(
    arguments, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert_starts_nothing(table1.main, arguments, message, capsys, tmp_path)


def test_multipliers_are_a_matter_of_the_rate_runs_alone():
    class Values:
        data = None
        gin_bindings = ("MULTIPLIER_INITIAL = 1.0", "TRAIN_STEPS = 3")

    assert table1._shared_arguments(Values, "elbo") == ["--gin_bindings=TRAIN_STEPS = 3"]
    assert len(table1._shared_arguments(Values, "rate")) == 2


@pytest.mark.slow
def test_a_step_that_fails_ends_the_command_with_its_code_and_its_line_alone(capfd, tmp_path):
    assert table1.main([f"--run_dir={tmp_path / 'a'}", "--data=nonsense:1"]) == 2
    assert capfd.readouterr().err.count("pcvae: error:") == 1
