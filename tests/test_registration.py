"""Keras finds the package's classes by ``import pcvae`` alone."""

import subprocess
import sys

import keras
import pytest

import pcvae
from pcvae import registration
from tests.models import tiny


def test_what_is_registered_is_what_is_told():
    for room in registration.NAMES:
        getattr(pcvae, room.removeprefix("pcvae."))
    here = {
        name.removeprefix(registration.PREFIX)
        for name, own in keras.saving.get_custom_objects().items()
        if name.startswith(registration.PREFIX) and own.__module__.startswith("pcvae.")
    }
    assert here == {name for names in registration.NAMES.values() for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("imports", ["keras, pcvae", "pcvae.layers, keras"])
def test_a_saved_model_loads_after_the_import_of_the_package(imports, tmp_path):
    model, path = tiny.vdvae(), tmp_path / "model.keras"
    model.save(path)
    code = (
        f"import {imports}\n"
        f"model = keras.saving.load_model({str(path)!r})\n"
        "print(type(model).__name__, model.num_levels, keras.__spec__.loader.__class__.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["VDVAE", str(model.num_levels), "SourceFileLoader"]


def test_the_import_of_the_package_is_no_import_of_keras():
    code = "import pcvae, sys; print('keras' in sys.modules or 'tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
