"""The evaluation of a run: everything that can be asked for, on one device and on two."""

import json
import re

import numpy as np
import pytest

from pcvae import training
from pcvae.errors import UserError
from pcvae.runs import evaluate
from tests.runs.untrained_run import write_run

pytestmark = pytest.mark.slow


def moments(images):
    images = images.astype(np.float32) / 255.0
    return np.concatenate([images.mean((1, 2)), images.std((1, 2))], axis=1)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    pictures = np.random.default_rng(0).integers(0, 256, (23, 8, 8, 3), dtype=np.uint8)
    np.savez(folder / "pictures.npz", train=pictures[:12], validation=pictures[:2], test=pictures)
    return write_run(folder / "run", folder / "pictures.npz")


def test_two_devices_give_the_numbers_of_one(run_dir, capsys, eagerly):
    arguments = {
        "run_dir": run_dir,
        "num_images": 5,
        "seed": 3,
        "importance_samples": 2,
        "frechet": {"extractor": moments, "num_samples": 7, "split": "train", "decompose": True},
    }
    one = evaluate(**arguments)
    path = run_dir / "results" / "evaluation_test_5_images.json"
    assert json.loads(path.read_text()) == one
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("importance-weighted bound") for line in lines)
    assert any("7 samples" in line and "12 images of the train split" in line for line in lines)
    assert any("decomposed after 1 of 3 levels (levels up to 1/8 " in line for line in lines)
    assert any(re.match("Frechet distance, decoder part +[0-9]", line) for line in lines)
    assert one["num_images"] == 5
    assert one["frechet_protocol"]["num_images"] == 12
    assert one["iw_nll_bits_per_dim"] < one["negative_elbo_bits_per_dim"] + 0.1
    mirrored = training.make_strategy("mirrored", ("CPU:0", "CPU:1"))
    two = evaluate(**arguments, strategy=mirrored, output=run_dir / "two.json")
    assert two.keys() == one.keys()
    for name, value in one.items():
        if name.endswith("_protocol") or name in ("data", "split", "weights"):
            assert two[name] == value
        else:
            np.testing.assert_allclose(two[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_mistakes_come_before_the_work(run_dir, capsys):
    for arguments, says in (
        ({"frechet": {"extractor": "none.pb"}}, "there is no file none.pb"),
        ({"frechet": {"extractor": moments, "temperature": -1.0}}, "temperature"),
        ({"frechet": {"extractor": moments, "pixels": "median"}}, "pixels"),
        ({"frechet": {"extractor": moments, "num_samples": 1}}, "num_samples"),
        ({"frechet": {"extractor": moments, "decompose": 4}}, r"expected 1\.\.3, got 4"),
        ({"importance_samples": -1}, "importance_samples"),
        ({"num_images": 24}, "has 23 images"),
    ):
        with pytest.raises(UserError, match=says):
            evaluate(run_dir=run_dir, output=run_dir / "never.json", **arguments)
    assert not (run_dir / "never.json").exists()
    assert "evaluating" not in capsys.readouterr().err
