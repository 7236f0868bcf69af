"""The commands on a finished run: what their flags ask of pcvae.runs, and what they refuse."""

import os

import pytest

from pcvae.cli.commands import (
    decode,
    encode,
    evaluate,
    explore,
    export,
    interpolate,
    progressive,
    rate_distortion,
    reconstruct,
    sample,
    swap,
    train,
    train_extractor,
    traverse,
)
from pcvae.cli.commands.sample import parse_temperature
from pcvae.errors import UserError


def test_evaluate_hands_on_its_flags(stand_in, run_dir):
    assert evaluate.main([f"--run_dir={run_dir}"]) == 0
    argv = ["--split=train", "--num_images=10", "--seed=3", "--data=folder:x", "--batch_size=4"]
    argv += ["--output=e.json", "--importance_samples=5"]
    assert evaluate.main([f"--run_dir={run_dir}", *argv]) == 0
    names = ("split", "num_images", "seed", "spec", "batch_size", "output", "importance_samples")
    assert [tuple(call[name] for name in names) for call in stand_in.calls] == [
        ("test", None, 0, None, None, None, None),
        ("train", 10, 3, "folder:x", 4, "e.json", 5),
    ]
    assert {call["run_dir"] for call in stand_in.calls} == {run_dir}


def test_evaluate_measures_samples_when_asked(stand_in, run_dir, fails):
    start = f"--run_dir={run_dir}"
    assert evaluate.main([start, "--frechet"]) == 0
    argv = ["--frechet", "--extractor=a.pb", "--extractor_resize=bicubic", "--extractor_sha256=00"]
    argv += ["--num_samples=7", "--temperature=1,0.5", "--pixels=mean", "--frechet_split=test"]
    assert evaluate.main([start, *argv]) == 0
    for flag in ("--decompose", "--decompose_levels=7", "--decompose_levels=4x4"):
        assert evaluate.main([start, "--frechet", flag]) == 0
    assert evaluate.main([start]) == 0
    assert [call["frechet"] for call in stand_in.calls] == [
        {},
        {
            "extractor": "a.pb",
            "resize": "bicubic",
            "sha256": "00",
            "num_samples": 7,
            "temperature": (1.0, 0.5),
            "pixels": "mean",
            "split": "test",
        },
        {"decompose": True},
        {"decompose": 7},
        {"decompose": "4x4"},
        None,
    ]
    assert "--decompose_levels is about" in fails(evaluate.main, start, "--decompose_levels=7")
    assert "it needs --frechet" in fails(evaluate.main, start, "--num_samples=7")
    assert "num_samples" in fails(evaluate.main, start, "--frechet", "--num_samples=1")
    assert "got a line" in fails(evaluate.main, start, "--frechet", "--temperature=1:0.5")


def test_train_extractor_hands_on_its_flags(stand_in, fails):
    assert train_extractor.main([]) == 0
    argv = ["--image_size=32", "--seed=2", "--output=a.keras", "--kind=structure"]
    assert train_extractor.main(argv) == 0
    assert stand_in.calls == [
        {"image_size": 16, "seed": 0, "output": None, "extractor": "synthetic"},
        {"image_size": 32, "seed": 2, "output": "a.keras", "extractor": "structure"},
    ]
    assert "one of synthetic, structure" in fails(train_extractor.main, "--kind=inception")
    assert "in .keras" in fails(train_extractor.main, "--output=a.h5")
    assert "of at least 16" in fails(train_extractor.main, "--image_size=8")


def test_sample_hands_on_its_flags(stand_in, run_dir, capsys):
    assert sample.main([f"--run_dir={run_dir}", "--seed=2"]) == 0
    default = os.path.join(run_dir, "images", "samples_64_t1.0_seed_2.png")
    assert capsys.readouterr().out == f"wrote {default}\n"
    argv = ["--num_samples=3", "--temperature=1,0.5", "--output=x.NPZ"]
    assert sample.main([f"--run_dir={run_dir}", *argv]) == 0
    first, second = stand_in.calls
    assert first == {
        "run_dir": run_dir,
        "export": None,
        "num_samples": 64,
        "first_sample": 0,
        "temperature": 1.0,
        "last_temperature": None,
        "stage_temperatures": None,
        "seed": 2,
        "pixels": "sample",
        "condition": None,
        "batch_size": None,
        "recalibrate_batches": 0,
        "output": default,
    }
    changes = {"num_samples": 3, "temperature": (1.0, 0.5), "seed": 0, "output": "x.NPZ"}
    assert second == {**first, **changes}


def test_sample_takes_a_temperature_a_stage(stand_in, run_dir):
    assert sample.main([f"--run_dir={run_dir}", "--stage_temperatures=1,0.8"]) == 0
    (call,) = stand_in.calls
    assert call["stage_temperatures"] == (1.0, 0.8)
    assert os.path.basename(call["output"]) == "samples_64_t1.0-0.8_seed_0.png"


def test_sample_takes_an_export_a_ramp_and_a_folder(stand_in, run_dir):
    argv = ["--export=e", "--temperature=1:0.5", "--first_sample=8", "--pixels=mean"]
    assert sample.main([*argv, "--condition=0,1", "--batch_size=4"]) == 0
    assert sample.main([*argv, "--output=new/"]) == 0
    first, second = stand_in.calls
    assert (first["export"], first["run_dir"]) == ("e", None)
    assert (first["temperature"], first["last_temperature"]) == (1.0, 0.5)
    assert (first["first_sample"], first["pixels"], first["condition"]) == (8, "mean", "0,1")
    assert first["output"] == "samples_64_from8_t1.0to0.5_mean_seed_0.png"
    assert second["output"] == "new/"


def test_reconstruct_hands_on_its_flags(stand_in, run_dir, tmp_path):
    (tmp_path / "pictures").mkdir()
    argv = [f"--run_dir={run_dir}", "--images=pictures", "--num_levels=0", "--output=r.png"]
    assert reconstruct.main(argv) == 0
    assert stand_in.calls == [
        {
            "run_dir": run_dir,
            "images": "pictures",
            "num_levels": 0,
            "decoder": None,
            "seed": 0,
            "num_images": 64,
            "output": "r.png",
        }
    ]


def test_default_names_tell_what_is_in_the_file(stand_in, run_dir, tmp_path):
    (tmp_path / "pictures").mkdir()
    for temperature in ("0.7", "1,0.5", ",".join(["1"] * 300), ",".join(["0.9"] * 300)):
        assert sample.main([f"--run_dir={run_dir}", f"--temperature={temperature}"]) == 0
    for argv in ([], ["--num_levels=3", "--decoder=prior"], ["--num_images=5", "--seed=1"]):
        argv = [f"--run_dir={run_dir}", "--images=pictures", *argv]
        assert reconstruct.main(argv) == 0
    names = [os.path.basename(call["output"]) for call in stand_in.calls]
    assert names[:2] == ["samples_64_t0.7_seed_0.png", "samples_64_t1.0-0.5_seed_0.png"]
    assert len(names[2]) < 50 and names[2] != names[3]
    assert names[4:] == [
        "reconstructions_64_Kall_seed_0.png",
        "reconstructions_64_K3_prior_seed_0.png",
        "reconstructions_5_Kall_seed_1.png",
    ]


@pytest.mark.parametrize("main", [evaluate.main, sample.main, reconstruct.main])
def test_help_says_that_a_file_is_replaced(capsys, main):
    assert main(["--help"]) == 0
    assert "replaced if it is there" in capsys.readouterr().out


def test_a_tilde_is_the_home_folder_in_every_path(stand_in, run_dir, tmp_path, monkeypatch, fails):
    monkeypatch.setenv("HOME", str(tmp_path))
    argv = ["--run_dir=~/run", "--images=~/exp.gin", "--output=~/r.png"]
    assert reconstruct.main(argv) == 0
    call = stand_in.calls[-1]
    assert [call[name] for name in ("run_dir", "images", "output")] == [
        os.path.join(tmp_path, name) for name in ("run", "exp.gin", "r.png")
    ]
    monkeypatch.chdir("/")
    argv = ["--gin_file=~/exp.gin", "--gin_search_path=~/", "--gin_file=exp.gin"]
    assert train.main([*argv, "--run_dir=~/new"]) == 0
    assert (tmp_path / "new" / "config.gin").exists()
    missing = fails(train.main, "--gin_search_path=~/nowhere", "--run_dir=~/new")
    assert f"--gin_search_path={tmp_path}/nowhere" in missing


@pytest.mark.parametrize(
    ("main", "argv"),
    [
        (evaluate.main, []),
        (sample.main, []),
        (reconstruct.main, ["--images=exp.gin"]),
        (encode.main, ["--images=exp.gin"]),
        (decode.main, ["--latents=exp.gin"]),
        (interpolate.main, ["--first=exp.gin", "--second=exp.gin"]),
        (swap.main, ["--first=exp.gin", "--second=exp.gin", "--levels=0"]),
        (traverse.main, ["--images=exp.gin", "--level=0"]),
        (export.main, ["--output=exported"]),
        (rate_distortion.main, []),
        (progressive.main, []),
        (explore.main, []),
    ],
)
def test_every_command_that_loads_a_run_can_refuse_an_older_checkpoint(
    stand_in, run_dir, main, argv
):
    for own in ([], ["--no_fallback"]):
        assert main([f"--run_dir={run_dir}", *argv, *own]) == 0
    assert [call.get("fallback", True) for call in stand_in.calls] == [True, False]


@pytest.mark.parametrize("main", [evaluate.main, sample.main, reconstruct.main])
def test_a_run_must_be_there(stand_in, tmp_path, fails, main):
    assert "--run_dir is missing" in fails(main)
    assert "no such directory" in fails(main, "--run_dir=nowhere")
    assert "this is a file, expected the directory" in fails(main, "--run_dir=exp.gin")
    assert "holds no model.json" in fails(main, f"--run_dir={tmp_path}")
    assert not stand_in.calls


@pytest.mark.parametrize(
    ("main", "argv", "says"),
    [
        (evaluate.main, ["--split=all"], "split"),
        (evaluate.main, ["--num_images=0"], "num_images"),
        (evaluate.main, ["--batch_size=-1"], "batch_size"),
        (evaluate.main, ["--output=e.txt"], "expected a file name in .json"),
        (sample.main, ["--num_samples=0"], "num_samples"),
        (sample.main, ["--seed=x"], "seed"),
        (sample.main, ["--output=x.jpg"], "expected a file name in .png or .npz"),
        (sample.main, ["--export=x"], "either --run_dir or --export"),
        (sample.main, ["--output=.png"], "expected a file name in .png or .npz"),
        (sample.main, ["--output=new/.npz"], "expected a file name in .png or .npz"),
        (sample.main, ["--temperature=hot"], "expected a number >= 0"),
        (sample.main, ["--stage_temperatures=1,"], "expected a number >= 0 for each stage"),
        (sample.main, ["--stage_temperatures=1", "--temperature=1"], "either --temperature or"),
        (reconstruct.main, [], "--images is missing"),
        (reconstruct.main, ["--images=nowhere"], "no such file or folder"),
        (reconstruct.main, ["--images=exp.gin", "--num_levels=-1"], "num_levels"),
        (reconstruct.main, ["--images=exp.gin", "--output=x"], "expected a file name"),
    ],
)
def test_mistakes_are_one_line(stand_in, run_dir, tmp_path, fails, main, argv, says):
    (tmp_path / "folder.png").mkdir()
    assert says in fails(main, f"--run_dir={run_dir}", *argv)
    assert not stand_in.calls


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.9", (0.9, None)),
        ("0", (0.0, None)),
        ("1,0.5, 0", ((1, 0.5, 0), None)),
        ("1.0:0.7", (1.0, 0.7)),
    ],
)
def test_temperature_is_a_number_one_a_level_or_a_line(text, value):
    assert parse_temperature(text) == value


@pytest.mark.parametrize(
    "text", ["", "-1", "1,,2", "nan", "inf", "1,-0.1", "[1]", "1:", ":1", "1:2:3", "1,1:2"]
)
def test_temperature_must_be_numbers(text):
    with pytest.raises(UserError, match="temperature"):
        parse_temperature(text)
