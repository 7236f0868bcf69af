"""The example of docs/add_a_model.md runs as it stands, and keeps the promises."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from pcvae import models, show, units
from pcvae.errors import UserError
from tests.models import tiny

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "add_a_model.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def example():
    """The names that the first two blocks define, the cell and the model."""
    namespace = {"__name__": "example"}
    for block in BLOCKS[:2]:
        exec(compile(block, str(PAGE), "exec"), namespace)
    yield namespace
    models.registry._MODELS.pop("DenseVAE")


def test_every_block_runs(example, tmp_path, capsys):
    namespace = {**example, "output_folder": tmp_path / "export"}
    for block in BLOCKS[2:]:
        exec(compile(block, str(PAGE), "exec"), namespace)
    assert namespace["samples"].shape == (4, 8, 8, 3)
    assert "bits/dim" in capsys.readouterr().out
    assert (tmp_path / "export" / "saved_model.pb").exists()


@pytest.mark.parametrize("latent_widths", [(3,), (3, 2)])
def test_it_keeps_the_promises_of_the_zoo(example, latent_widths, eagerly):
    model = tiny.random_weights(example["DenseVAE"](tiny.IMAGE_SHAPE, latent_widths, width=6))
    images = tiny.random_images(5)
    latents = model.encode(images, seed=1)
    whole = model.reconstruct(images, seed=1)
    np.testing.assert_array_equal(model.decode(latents), whole)
    for source in ("given", "posterior"):
        sources = [source] * model.num_levels
        np.testing.assert_array_equal(model.edit(images, latents, sources, seed=1), whole)
    noise = model.noise_of(latents)
    for actual, expected in zip(model.latents_of(noise), latents, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)
    parts = [model.sample(2, seed=3), model.sample(3, seed=3, first_sample=2)]
    np.testing.assert_array_equal(np.concatenate(parts), model.sample(5, seed=3))
    np.testing.assert_array_equal(model.reconstruct(images, seed=1, batch_size=2), whole)
    model.freeze(list(model.named_weights)[::2])
    for again in (keras.models.clone_model(model), model.twin()):
        assert again.get_config() == model.get_config()
        assert again.named_weights.keys() == model.named_weights.keys()
        assert again.frozen_weights.keys() == model.frozen_weights.keys() != set()
    maps = show.bits_per_pixel_maps(model, images, seed=1)
    bits = units.nats_to_bits(model.rate_per_level(images, seed=1).sum(axis=1))
    np.testing.assert_allclose(maps[1].sum(axis=(1, 2)), bits, rtol=1e-5)


def test_it_computes_in_low_precision(example):
    """Rates of a bfloat16 model are those of float32 within its eight bits."""
    rates = []
    for dtype in ("float32", "mixed_bfloat16"):
        model = example["DenseVAE"](tiny.IMAGE_SHAPE, (3, 2), width=6, dtype=dtype)
        assert {cell.compute_dtype for cell in model.cells} == {model.compute_dtype}
        rates.append(tiny.random_weights(model)(tiny.random_images(3)).rate_per_level)
    assert rates[1].dtype == "float32"
    np.testing.assert_allclose(rates[1], rates[0], rtol=0.1)


def test_decoders_of_prefixes_say_what_the_model_lacks(example):
    with pytest.raises(UserError, match="DenseVAE has none"):
        models.PrefixDecoders.for_model(example["DenseVAE"](tiny.IMAGE_SHAPE))
