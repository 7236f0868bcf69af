"""Every shipped gin file parses; those that hold all bindings train two steps on small pictures."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from pcvae import gin_utils, runs
from pcvae.cli.commands import describe, train
from pcvae.data.synthetic import draw_image
from pcvae.errors import UserError
from pcvae.layers.levels import parse_decoder_blocks, parse_encoder_blocks
from tests.op_by_op import op_by_op

SHIPPED = gin_utils.shipped_gin_folder()
FILES = sorted(str(path.relative_to(SHIPPED)) for path in SHIPPED.rglob("*.gin"))
EXPERIMENTS = [name for name in FILES if Path(name).parts[0] == "experiments"]
MODELS = [name for name in FILES if Path(name).parts[0] == "models"]

IMAGE_SIZE = 4
NUM_IMAGES = {"train": 8, "validation": 4, "test": 5}  # a ragged last batch

# Side of the images, parameters, levels and bits of a pixel value (Child 2020).
PUBLISHED = {
    "cifar10": (32, 39_145_700, 43, 8),
    "imagenet32": (32, 119_280_868, 78, 8),
    "imagenet64": (64, 125_005_860, 75, 8),
    "ffhq256": (256, 114_874_852, 66, 5),
}

# Every experiment has these macros.
SHORT = {"TRAIN_STEPS": 2, "BATCH_SIZE": 4, "IMAGE_SIZE": IMAGE_SIZE}
# What makes a model small, by the function or class that an experiment refers to.
_SMALL_STRINGS = {
    "width": 8,
    "latent_width": 2,
    "encoder_blocks": "4x1,4d4,1x1",
    "decoder_blocks": "1x1,4m1,4x1",
}
SMALL = {
    "models.small_vdvae": {"width": 8, "latent_width": 2},
    "models.VDVAE": _SMALL_STRINGS,
    "models.ConditionalVDVAE": _SMALL_STRINGS,
    "models.BottomUpVAE": {"latent_widths": (2,), "widths": (4,)},
    "models.DenseLadderVAE": {"latent_widths": (2,), "widths": (4,)},
    "models.DDPM": {
        "num_levels": 3,
        "schedule": "log_snr",
        "width": 4,
        "multipliers": (1,),
        "attention_resolutions": (),
    },
}
# Prefixes of latents, and what stands for them in a model whose images have four pixels a side.
PREFIXES = ("NUM_LATENT_LEVELS", "UNSHARED_PREFIX", "PREFIX_DECODERS", "LEVELS_PER_SHARE")
COARSER = {
    "None": "None",
    "()": "()",
    "'4x4'": "'1x1'",
    "'8x8'": "'4x4'",
    "('1x1', '4x4')": "('1x1', 3)",
    "(2, 2, 2)": "(1, 1, 2)",
}
# A second stage that takes its first from a cache; the others run it at each step.
CACHED = "experiments/table2_celeba64_stage2.gin"


_PARSERS = {"encoder": parse_encoder_blocks, "decoder": parse_decoder_blocks}


def _text(name):
    return (SHIPPED / name).read_text(encoding="utf-8")


def _required(name):
    """Returns the macros that a file and its includes leave open, bound to something."""
    required = {}
    for line in _text(name).splitlines():
        if line.startswith("include"):
            required.update(dict.fromkeys(_required(line.split("'")[1]), True))
        elif " = " in line and line.split()[0].isupper():
            macro = line.split()[0]
            value = "'run'" if macro in ("DATA", "FIRST_STAGE") else "1"
            required[f"{macro} = {value}"] = line.endswith("%gin.REQUIRED")
    return [binding for binding, is_open in required.items() if is_open]


def _kind(name):
    """Returns what an experiment binds to references and macros, its images apart.

    Two experiments of one kind differ in their images, sizes and numbers alone.
    """
    text = gin_utils.parse([runs.train], [name], _required(name)).text()
    bindings = re.findall(r"^(\w+\.\S+) = \\?\s*([@%]\S+)", text, re.MULTILINE)
    return frozenset(binding for binding in bindings if not binding[0].startswith("data."))


# What other tests train: those of pcvae-table1, pcvae-table2 and pcvae-sweep, and of the quickstart
# of before.
ELSEWHERE = [
    f"experiments/{name}.gin"
    for name in (
        *("table2_synthetic_baseline", "table2_synthetic_stage2", "synthetic_rate", "quickstart"),
        "table1_celeba64_rate",
    )
]


def _covering():
    """Returns few experiments that have, with those of `ELSEWHERE`, every binding of any kind."""
    kinds = {name: _kind(name) for name in EXPERIMENTS}
    missing = frozenset().union(*kinds.values()).difference(*(kinds[name] for name in ELSEWHERE))
    chosen = []
    while missing:
        chosen.append(max(EXPERIMENTS, key=lambda name: len(kinds[name] & missing)))
        missing -= kinds[chosen[-1]]
    return sorted(chosen)


TRAINED = _covering()


def _header(name):
    """Returns the comment at the top of a file."""
    lines = _text(name).splitlines()
    end = next(index for index, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(lines[:end])


@pytest.fixture(scope="module")
def synthetic_file(tmp_path_factory):
    """An arrays file of synthetic pictures."""
    path = tmp_path_factory.mktemp("data") / "synthetic.npz"
    splits = {
        split: np.stack([draw_image(0, split, index, 16)[::4, ::4] for index in range(count)])
        for split, count in NUM_IMAGES.items()
    }
    np.savez(path, **splits)
    return path


def _short_run(name, data, run_dir):
    """Returns the arguments of pcvae-train for a short, small run, and its configuration."""
    bindings = [f"{macro} = {value}" for macro, value in SHORT.items()]
    bindings += [binding for binding in _required(name) if binding.startswith("RATE_TARGET")]
    text = gin_utils.parse([runs.train], [name], [*_required(name), *bindings]).text()
    for owner, arguments in SMALL.items():
        if re.search(rf"@(\w+/)?{owner}\b(?!\()", text):
            bindings += [f"{owner}.{key} = {value!r}" for key, value in arguments.items()]
    macros = dict(re.findall(r"^([A-Z_]+) = (.+)$", text, re.MULTILINE))
    bindings += [f"{macro} = {COARSER[macros[macro]]}" for macro in PREFIXES if macro in macros]
    if "CONDITION_SHAPE" in text:
        bindings.append(f"CONDITION_SHAPE = ({IMAGE_SIZE // 2}, {IMAGE_SIZE // 2}, 3)")
    argv = [f"--gin_bindings={binding}" for binding in bindings]
    return [*argv, f"--gin_file={name}", f"--data=arrays:{data}", f"--run_dir={run_dir}"], text


@pytest.fixture(scope="module")
def first_stage(synthetic_file, few_pictures, tmp_path_factory):
    """A trained first stage, as small as those that are put on it."""
    run_dir = tmp_path_factory.mktemp("first") / "stage"
    argv, _ = _short_run("experiments/table2_synthetic_stage1.gin", synthetic_file, run_dir)
    with op_by_op():
        assert train.main(argv) == 0
    return run_dir


def test_the_main_job_is_there():
    assert train.QUICKSTART in EXPERIMENTS


@pytest.mark.parametrize("name", FILES)
def test_file_parses(name):
    assert _header(name), "the comment at the top says what the file is"
    assert "from __gin__ import dynamic_registration" in _text(name)
    gin_utils.parse([runs.train], [name], _required(name))


def test_the_record_of_the_first_version_is_read_and_goes_on():
    """What it calls by name is still there: the functions that gin binds, and their modules."""
    run_dir = Path(__file__).parents[1] / "goldens" / "run_0_1_0"
    configuration = gin_utils.parse([runs.train], [str(run_dir / "config.gin")], [])
    configuration.check_unchanged(run_dir)


def test_an_experiment_goes_on_from_a_record_that_is_older_than_the_precision(tmp_path):
    name = "experiments/table2_svhn_baseline.gin"
    text = gin_utils.parse([runs.train], [name], []).text()
    older = [line for line in text.splitlines() if "PRECISION" not in line]
    assert len(older) == len(text.splitlines()) - 3
    (tmp_path / "config.gin").write_text("\n".join(older))
    gin_utils.parse([runs.train], [name], []).check_unchanged(tmp_path)
    changed = gin_utils.parse([runs.train], [name], ["PRECISION = 'mixed_bfloat16'"])
    with pytest.raises(UserError, match=r"\(PRECISION: 'float32' -> 'mixed_bfloat16'\)"):
        changed.check_unchanged(tmp_path)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_gives_its_precision_to_each_model_that_it_makes(name):
    text = gin_utils.parse([runs.train], [name], _required(name)).text()
    made = [owner for owner in SMALL if re.search(rf"@(\w+/)?{owner}\b", text)]
    assert made
    for owner in made:
        assert re.search(rf"^{owner}.dtype = \\?\s*%PRECISION$", text, re.MULTILINE)
    assert re.search(r"^PRECISION = 'float32'$", text, re.MULTILINE)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_header_of_an_experiment_says_command_result_and_time(name):
    header = _header(name)
    command = "pcvae-train" if name == train.QUICKSTART else f"pcvae-train --gin_file={name}"
    assert command in header
    assert "Expected:" in header


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_block_strings_of_an_experiment_are_levels(name):
    """Those of the models that train small below."""
    text = gin_utils.parse([runs.train], [name], _required(name)).text()
    for kind, blocks in re.findall(r"(encoder|decoder)_blocks = \\?\s*'(.+)'", text):
        assert _PARSERS[kind](blocks)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_experiment_trains_two_steps(name, synthetic_file, first_stage, eagerly, tmp_path, capsys):
    run_dir = tmp_path / "run"
    argv, text = _short_run(name, synthetic_file, run_dir)
    if "%FIRST_STAGE" in text:
        argv.append(f"--first_stage={first_stage}")
    if name == CACHED:
        argv.append("--gin.CACHE_FIRST_STAGE=True")
    assert train.main(argv) == 0, capsys.readouterr().err
    record = json.loads((run_dir / "results" / "evaluation.json").read_text())
    assert record["num_images"] == NUM_IMAGES["test"]
    assert np.isfinite(record["rate_bits_per_dim"])
    assert np.isfinite(record["distortion_mse"])
    constrained = "@objectives.Constrained" in text or "@objectives.Progressive" in text
    assert ("constraints" in record) == constrained
    assert ("frozen_weights_sha256_after" in record) == ("%FIRST_STAGE" in text)
    # What it recorded is a configuration by itself, and the same one.
    again = gin_utils.parse([runs.train], [str(run_dir / "config.gin")], [])
    again.check_unchanged(run_dir)


@pytest.mark.slow
def test_micro_batches_that_do_not_fit_are_refused_before_anything_is_written(
    synthetic_file, eagerly, tmp_path, capsys
):
    argv, _ = _short_run(train.QUICKSTART, synthetic_file, tmp_path / "run")
    assert train.main([*argv, "--gin.training.Trainer.micro_batches=7"]) == 2
    assert capsys.readouterr().err.startswith(
        "pcvae: error: micro_batches=7: expected a divisor of"
    )
    assert not (tmp_path / "run").exists()


def test_the_published_models_are_there():
    assert {f"models/vdvae_{preset}.gin" for preset in PUBLISHED} < set(MODELS)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_describe_takes_a_model_file_by_itself_and_published_ones_have_their_size(name, capsys):
    assert describe.main([f"--gin_file={name}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "resolution" in lines[0]
    table = dict(line.split(maxsplit=1) for line in lines if line)
    preset = Path(name).stem.removeprefix("vdvae_")
    if preset in PUBLISHED:
        image_size, num_params, num_levels, bit_depth = PUBLISHED[preset]
        assert table["images"] == f"{image_size}x{image_size}x3"
        assert table["total"] == f"{num_params:,} parameters"
        assert str(num_levels - 1) in table and str(num_levels) not in table
        assert ("bit_depth = 5" in _text(name)) == (bit_depth == 5)
    if preset == "ddpm_cifar10":
        assert table["total"] == "35,746,307 parameters"
        assert table["levels"] == "1000 with latents"
        assert len(lines) < 20
