"""Commands that train stage on stage, with the real parts at a tiny size."""

import json

import pytest
from PIL import Image

import pcvae
from pcvae import models
from pcvae.cli.commands import pipeline, table2, train
from tests.cli.tiny_steps import TINY, assert_starts_nothing, write_pictures

STAGE1, STAGE2, MIDDLE, PREFIX = (
    f"experiments/{name}.gin"
    for name in (
        "table2_synthetic_stage1",
        "table2_synthetic_stage2",
        "synthetic_middle_stage",
        "synthetic_frozen_prefix",
    )
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    """A network of 4x4 pictures: the in-domain one begins at 16x16."""
    import keras

    keras.utils.set_random_seed(0)
    images = keras.Input((4, 4, 3))
    features = keras.layers.Dense(3)(keras.layers.Flatten()(images))
    path = tmp_path_factory.mktemp("extractor") / "network.keras"
    keras.Model(images, features).save(path)
    return path


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_table2_compares_stages_with_their_baseline(
    data, extractor, steps_in_this_process, eagerly, few_pictures, tmp_path, capfd
):
    folder = tmp_path / "table"
    arguments = [f"--run_dir={folder}", f"--data={data}", f"--extractor={extractor}"]
    arguments += ["--num_samples=6", "--targets=0.04"]
    assert table2.main([*arguments, *TINY]) == 0, capfd.readouterr().err
    (row,) = read(folder / "results" / "table2.json")["rows"]
    place = folder / "seed_0"
    first, second, baseline = (
        read(place / name / "results" / "evaluation.json")
        for name in ("target_0.04/stage1", "target_0.04/stage2", "baseline")
    )
    assert row["stage1_rate_nats_per_dim"] == first["rate_nats_per_dim"]
    assert row["negative_elbo_bits_per_dim"] == second["negative_elbo_bits_per_dim"]
    assert row["baseline_negative_elbo_bits_per_dim"] == baseline["negative_elbo_bits_per_dim"]
    assert row["frozen_weights_sha256_before"] == row["frozen_weights_sha256_after"]
    stage1 = pcvae.load(place / "target_0.04" / "stage1")
    composed = pcvae.load(place / "target_0.04" / "stage2")
    assert models.weights_sha256(composed.stages[0]) == models.weights_sha256(stage1)
    assert composed.count_params() == row["num_parameters"]
    assert row["frechet_protocol"]["num_samples"] == 6
    for name in ("table2.png", "samples_seed_0.png"):
        assert Image.open(folder / "images" / name).size[0] > 100
    assert f"{row['frechet_distance']:.4g}" in capfd.readouterr().out


@pytest.mark.slow
def test_the_pipeline_makes_a_model_of_its_stages_and_goes_on(
    data, steps_in_this_process, eagerly, few_pictures, tmp_path, capfd
):
    folder = tmp_path / "run"
    arguments = [f"--run_dir={folder}", f"--data={data}", *TINY]
    # A binding goes to the stages that know it.
    arguments += ["--gin.NUM_MIXTURES=2", "--gin.LATER_STAGES_SEE=features"]
    assert pipeline.main([*arguments, f"--stages={STAGE1},{STAGE2}"]) == 0, capfd.readouterr().err
    model = pcvae.load(folder / "stage_2")
    assert [type(stage).__name__ for stage in model.stages] == ["VDVAE", "ConditionalVDVAE"]
    assert model.later_stages_see == "features"
    assert f"in {folder / 'stage_2'}" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([f"--stages={STAGE2}"], f"--stages: {STAGE2} needs a stage before it"),
        ([f"--stages={STAGE1},{STAGE1}"], f"{STAGE1} trains no later stage"),
        (["--stages=a.gin"], "no gin file 'a.gin'"),
        (["--stages="], "--stages: expected gin files"),
        (["--gin.FIRST_STAGE=x"], "--gin.FIRST_STAGE: pcvae-pipeline sets it itself"),
        (["--gin.TRAIN_STEP=2"], "--gin.TRAIN_STEP=2: no stage uses it"),
    ],
)
def test_a_pipeline_that_cannot_be_run_starts_nothing(
    arguments, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert_starts_nothing(pipeline.main, arguments, message, capsys, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--targets=a"], "--targets: expected numbers, got a"),
        (["--targets=0.1,0.10"], "--targets: expected different mean squared errors"),
        (["--targets=-1"], "above 0 and below 4, got -1"),
        (["--gin.SEED=1"], "--gin.SEED: pcvae-table2 sets it itself (see --seeds)"),
    ],
)
def test_a_table_that_cannot_be_made_starts_nothing(
    arguments, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert_starts_nothing(table2.main, arguments, message, capsys, tmp_path)


@pytest.mark.slow
def test_a_table_of_models_of_unequal_size_starts_nothing(data, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [*TINY, f"--data={data}", "--gin.HEAD=gaussian"]  # stage 1 alone takes the head
    message = "stages 1 and 2 together have "
    assert_starts_nothing(table2.main, arguments, message, capsys, tmp_path)


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        ("experiments/quickstart.gin", "--first_stage: experiments/quickstart.gin trains no later"),
        (STAGE2, "there is no such directory, expected the directory of a run"),
    ],
)
def test_a_first_stage_that_does_not_fit(experiment, message, capsys, tmp_path):
    first = tmp_path / "first"
    if experiment != STAGE2:
        first.mkdir()
        (first / "model.json").write_text("{}")
    arguments = [f"--gin_file={experiment}", f"--first_stage={first}"]
    assert train.main([*arguments, f"--run_dir={tmp_path / 'run'}"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
