"""Any text for the blocks of encoder and decoder: a model, or one line that names the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcvae.cli.commands import describe
from tests.fuzz.promise import cases, outcome

MODEL = """\
from __gin__ import dynamic_registration
from pcvae import models
from pcvae import runs
runs.train.model_fn = @models.VDVAE
models.VDVAE.encoder_blocks = '4x1,4d2,2d2,1x1'
models.VDVAE.decoder_blocks = '1x1,2m1,4m2'
models.VDVAE.width = 4
models.VDVAE.latent_width = 2
models.VDVAE.num_mixtures = 1
"""
side = st.sampled_from([1, 2, 4]) | st.integers(-2, 70) | st.sampled_from([9999, 10000, 10**30])
token = st.builds("{}{}{}".format, side, st.sampled_from("xdm"), side) | side.map(str)
blocks = st.lists(token, max_size=5).map(",".join)
damaged = st.builds(
    lambda text, place, letters: text[:place] + letters + text[place:],
    st.sampled_from(["4x1,4d2,2d2,1x1", "1x1,2m1,4m2", "4d4,1x3"]),
    st.integers(0, 15),
    st.text("0123456789xdm,- .½²٣", max_size=3),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the gin file of a model of three levels."""
    folder = tmp_path_factory.mktemp("layers")
    (folder / "model.gin").write_text(MODEL)
    return folder


@cases(1.2)
@given(
    which=st.sampled_from(["encoder_blocks", "decoder_blocks", "width_per_resolution"]),
    text=blocks | damaged | st.text(max_size=8),
)
def test_any_layer_string(folder, module_eagerly, which, text):
    argv = [f"--gin_file={folder / 'model.gin'}", f"--gin.models.VDVAE.{which}={text!r}"]
    outcome(describe.main, argv, folder, [which])
