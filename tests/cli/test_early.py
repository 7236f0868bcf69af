"""Cheap mistakes are told before TensorFlow is imported, by every command, in one process."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import io, json, contextlib, sys
from pcvae.cli.program import run_command
answers = []
for command, *argv in json.load(sys.stdin):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = run_command(command, argv)
    answers.append([code, said.getvalue(), "tensorflow" in sys.modules])
print(json.dumps(answers))
"""
IMAGES = [f"--{name}=no.png" for name in ("images", "first", "second")]
RUN = "--run_dir=run"
# What is told -> the command lines that are told so.
MISTAKES = {
    "--run_dir is missing": [
        [name]
        for name in (
            *("evaluate", "sample", "reconstruct", "progressive", "rate_distortion", "export"),
            *(
                "encode",
                "decode",
                "explore",
                "interpolate",
                "swap --levels=0",
                "traverse --level=0",
            ),
        )
    ],
    "no run of pcvae-train": [["evaluate", "--run_dir=empty"], ["sample", "--run_dir=empty"]],
    "there is no such file or folder": [
        ["reconstruct", RUN, IMAGES[0]],
        ["encode", RUN, IMAGES[0]],
        ["decode", RUN, "--latents=no.npz"],
        ["interpolate", RUN, *IMAGES[1:]],
        ["swap", RUN, "--levels=0", *IMAGES[1:]],
        ["traverse", RUN, "--level=0", IMAGES[0]],
        ["sample", "--export=no"],
        ["evaluate", RUN, "--frechet", "--extractor=no.pb"],
        ["evaluate", RUN, "--perceptual", "--lpips_weights=no.npz"],
        ["import_lpips", "--backbone=no.npz", "--lins=no.npz", "--output=x.npz"],
        ["import_openai", "--weights=no.npz", "--preset=cifar10", "--output=new"],
        ["table2", "--extractor=no.pb"],
    ],
    "no gin file 'no.gin'": [
        ["train", "--gin_file=no.gin"],
        ["describe", "--gin_file=no.gin"],
        ["sweep", "--gin_file=no.gin", "--knob=A", "--values=1"],
        ["pipeline", "--stages=no.gin"],
        ["import_openai", "--weights=file", "--gin_file=no.gin", "--output=new"],
    ],
    "there is no such folder": [
        [command, *flags, "--data=folder:no"]
        for command, *flags in (
            *(["train"], ["evaluate", RUN], ["progressive", RUN], ["rate_distortion", RUN]),
            *(["table1"], ["table2"], ["sweep"], ["pipeline"], ["import_openai"]),
        )
    ],
    "unknown dataset 'photos'": [["train", "--data=photos"], ["table1", "--data=photos"]],
    "lacks what to read": [["evaluate", RUN, "--data=arrays:"]],
    "expected one of train, validation, test": [
        ["evaluate", RUN, "--split=all"],
        ["rate_distortion", RUN, "--split=all"],
        ["progressive", RUN, "--split=all"],
        ["evaluate", RUN, "--frechet", "--frechet_split=all"],
    ],
    "is a file": [
        ["evaluate", RUN, "--output=file/e.json"],
        ["sample", RUN, "--output=file/s.png"],
        ["sample", RUN, "--output=file/"],
        ["rate_distortion", RUN, "--per_image=file/p.npz"],
        ["export", RUN, "--output=file/new"],
        ["compare", "run", "other", "--output=file/new"],
        ["train", "--run_dir=file/new"],
        ["table1", "--run_dir=file/new"],
        ["table2", "--run_dir=file/new"],
        ["pipeline", "--run_dir=file/new"],
        ["sweep", "--gin_file=here.gin", "--knob=A", "--values=1", "--run_dir=file/new"],
        ["train_extractor", "--output=file/e.keras"],
        ["decode", RUN, "--latents=file", "--output=file/d.png"],
    ],
    "nothing is overwritten": [["export", RUN, "--output=run"]],
    "is not evaluated": [["compare", "run", "new_run"]],
    "expected one of ssim, ms_ssim, lpips": [["evaluate", RUN, "--perceptual=psnr"]],
    "needs --lpips_weights": [["evaluate", RUN, "--perceptual=lpips"]],
    "expected one of bilinear": [["evaluate", RUN, "--frechet", "--extractor_resize=no"]],
    "--extractor_sha256=HEX": [["evaluate", RUN, "--frechet", "--extractor=https://a.b/c.pb"]],
    "expected labels such as 0,1,2": [["sample", RUN, "--condition=no.png"]],
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "here.gin").touch()
    for name in ("run", "other", "new_run"):
        (tmp_path / name / "results").mkdir(parents=True)
        (tmp_path / name / "model.json").touch()
        if name != "new_run":
            (tmp_path / name / "results" / "evaluation.json").touch()
    return tmp_path


def test_a_cheap_mistake_costs_no_import_of_tensorflow(folder):
    cases = [(says, line) for says, lines in MISTAKES.items() for line in lines]
    lines = [[*line[0].split(), *line[1:]] for _, line in cases]
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(lines),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    for (says, _), line, answer in zip(cases, lines, json.loads(result.stdout), strict=True):
        code, said, imported = answer
        assert (code, imported) == (2, False), (line, said)
        assert says in said, line
        assert said.count("\n") == 1, line
    assert sorted(path.name for path in folder.iterdir()) == [
        *("empty", "file", "here.gin", "new_run", "other", "run"),
    ]
