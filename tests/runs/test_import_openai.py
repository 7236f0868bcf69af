"""A reference checkpoint becomes a run directory, or nothing at all."""

import functools
import json
import sys
import types

import numpy as np
import pytest

from pcvae import data, models, runs, units
from pcvae.errors import UserError
from tests.models.reference_golden import GOLDENS, given, read_golden, vdvae_of, weights_of

pytestmark = pytest.mark.slow


def model_fn_of(golden):
    return functools.partial(vdvae_of, golden)


@pytest.fixture(scope="module")
def small():
    return read_golden("small")


@pytest.mark.parametrize("name", ["small", "wide"])
def test_the_run_computes_what_the_reference_computes(name, tmp_path):
    golden = read_golden(name)
    # As DistributedDataParallel names them; no array of a golden file stands without its prefix.
    np.savez(tmp_path / "w.npz", **{f"module.{k}": v for k, v in weights_of(golden).items()})
    run_dir = tmp_path / "run"
    record = runs.import_openai(
        weights=tmp_path / "w.npz", output=run_dir, model_fn=model_fn_of(golden), spec="synthetic"
    )
    assert record == runs.read_run(run_dir)
    assert record["data"] == {"spec": "synthetic", "image_size": 16}
    model = runs.load(run_dir)
    noise = given(golden, "posterior_noise")
    decoded = model.decoder.walk(
        len(golden["images"]), models.Posterior(), noise, model.encoder(golden["images"])
    )
    params, expected = model.head(decoded.features).numpy(), golden["expected/head_params"]
    np.testing.assert_allclose(params, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "w.npz"]


def test_the_goldens_own_names_and_an_evaluation_of_the_run(small, tmp_path):
    run_dir = tmp_path / "run"
    weights = GOLDENS / "vdvae_reference_small.npz"
    np.savez(
        tmp_path / "images.npz", images=np.arange(12 * 768, dtype=np.uint8).reshape(12, 16, 16, 3)
    )
    runs.import_openai(weights=weights, output=run_dir, model_fn=model_fn_of(small))
    with pytest.raises(UserError, match="names no dataset: say which with --data=SPEC"):
        runs.evaluate(run_dir=run_dir)
    spec = f"arrays:{tmp_path / 'images.npz'}"
    record = runs.evaluate(run_dir=run_dir, spec=spec, split="train", num_images=3)
    output = runs.load(run_dir)(np.asarray(data.from_spec(spec).images("train")[:3]))
    nats = output.nll + units.sum_per_example(output.rate_per_level)
    expected = np.mean(units.bits_per_dim(nats, (16, 16, 3)))
    assert record["negative_elbo_bits_per_dim"] == pytest.approx(expected, rel=1e-5)
    assert (
        json.loads((run_dir / "results" / "evaluation_train_3_images.json").read_text()) == record
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda w: w.pop("decoder.gain"), "1 missing: decoder.gain"),
        (lambda w: w.update(gain=np.zeros(2)), "1 unexpected: gain"),
        (
            lambda w: w.update({"decoder.gain": np.zeros((1, 7, 1, 1))}),
            r"1 of another shape: decoder.gain \[1, 7, 1, 1\] instead of \[1, 24, 1, 1\]",
        ),
        (lambda w: w.update({"decoder.gain": np.array([{}])}), "pickles are refused"),
    ],
)
def test_weights_that_do_not_fit_leave_nothing_behind(small, tmp_path, change, says):
    weights = weights_of(small)
    change(weights)
    np.savez(tmp_path / "w.npz", **weights)
    with pytest.raises(UserError, match=says) as error:
        runs.import_openai(
            weights=tmp_path / "w.npz", output=tmp_path / "run", model_fn=model_fn_of(small)
        )
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["w.npz"]


def test_what_is_there_stays(small, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="found thesis.tex: nothing is overwritten"):
        runs.import_openai(weights="w.npz", output=tmp_path / "run", model_fn=model_fn_of(small))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_other_files_are_refused(small, tmp_path):
    (tmp_path / "w.npz").write_bytes(b"\x80\x04no numbers.")
    for name, says in {
        "w.npz": "pickle",
        "w.bin": "a file in .th",
        "x.npz": "no such file",
    }.items():
        with pytest.raises(UserError, match=says):
            runs.import_openai(
                weights=tmp_path / name, output=tmp_path / "run", model_fn=model_fn_of(small)
            )


class Tensor:
    """As much of a tensor as the import needs."""

    def __init__(self, values):
        self.values, self.shape = values, values.shape

    def detach(self):
        return self

    float = detach

    def numpy(self):
        return self.values


def test_torch_files_are_read_by_the_loader_of_weights_alone(small, tmp_path, monkeypatch):
    path = tmp_path / "w.th"
    path.write_bytes(b"")
    arguments = {"weights": path, "output": tmp_path / "run", "model_fn": model_fn_of(small)}
    torch, calls, states = types.ModuleType("torch"), [], []

    def load(path, **options):
        calls.append(options)
        if not states:
            raise ValueError("Weights only load failed\nand more")
        return states.pop()

    torch.__version__, torch.load = "2.5.1+cpu", load
    torch.is_tensor = lambda value: isinstance(value, Tensor)
    for module, says in (
        (None, r"pip install 'pcvae\[import\]'"),
        (torch, "expected 2.6 or newer"),
    ):
        monkeypatch.setitem(sys.modules, "torch", module)
        with pytest.raises(UserError, match=says):
            runs.import_openai(**arguments)
    torch.__version__ = "2.14.1"
    with pytest.raises(UserError, match="reads no weights from it.*Weights only load failed$"):
        runs.import_openai(**arguments)
    states.append({"decoder.gain": "text"})
    with pytest.raises(UserError, match="expected a state dict, names and tensors"):
        runs.import_openai(**arguments)
    states.append({name: Tensor(values) for name, values in weights_of(small).items()})
    runs.import_openai(**arguments)
    assert calls == [{"map_location": "cpu", "weights_only": True}] * 3
    assert runs.load(tmp_path / "run").num_levels == 8
