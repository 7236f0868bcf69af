"""What the user's environment says of Keras and TensorFlow, and what of it the package heeds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.models import tiny

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys, pcvae
assert "tensorflow" not in sys.modules
pcvae.load
import keras
from tests.models import tiny
from tests.test_environment import images_of
assert keras.config.backend() == "tensorflow"
images_of(tiny.vdvae()).tofile(sys.argv[1])
"""


def images_of(model):
    return model.reconstruct(tiny.random_images(), seed=1)


def run_python(code, *arguments, **environment):
    kept = {k: v for k, v in os.environ.items() if k not in ("TF_CPP_MIN_LOG_LEVEL", "KERAS_HOME")}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_a_keras_json_of_another_kind_changes_nothing_and_tensorflow_says_nothing(tmp_path):
    settings = {"backend": "torch", "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    environment = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax"}
    result = run_python(PROGRAM, str(tmp_path / "images"), **environment)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    expected = images_of(tiny.vdvae())
    got = np.fromfile(tmp_path / "images", np.uint8).reshape(expected.shape)
    np.testing.assert_array_equal(got, expected)


def test_another_backend_that_is_there_already_is_named():
    code = """
import sys, types
sys.modules["keras"] = types.SimpleNamespace(config=types.SimpleNamespace(backend=lambda: "jax"))
try:
    import pcvae
except ValueError as error:
    print(error)
"""
    result = run_python(code)
    assert result.stdout.startswith("pcvae needs the TensorFlow backend of Keras, and Keras was")
    assert result.stdout.count("\n") == 1


def test_channels_stand_last_whatever_the_default(eagerly):
    expected = images_of(tiny.vdvae())
    try:
        keras.config.set_image_data_format("channels_first")
        np.testing.assert_array_equal(images_of(tiny.vdvae()), expected)
    finally:
        keras.config.set_image_data_format("channels_last")


def test_a_failing_import_of_tensorflow_keeps_what_it_said(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\nos.write(2, b'no such library')\nimport nowhere_at_all\n"
    )
    code = "import pcvae\ntry: import tensorflow\nexcept ImportError as error: print(error.name)"
    result = run_python(code, PYTHONPATH=str(tmp_path))
    assert (result.stdout, result.stderr) == ("nowhere_at_all\n", "no such library")
