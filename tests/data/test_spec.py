import inspect
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pcvae import data
from pcvae.data import from_spec
from pcvae.errors import UserError
from pcvae.sources import KINDS


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder with images in it."""
    (tmp_path / "pictures").mkdir()
    for i in range(12):
        Image.new("RGB", (9, 9), (i, i, i)).save(tmp_path / "pictures" / f"{i}.png")
    np.save(tmp_path / "a:b.npy", np.full((30, 6, 6), 90, np.uint8))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def count(dataset):
    return sum(dataset.num_images(split) for split in dataset.splits)


def test_every_kind_gives_its_dataset(home):
    cases = {
        "synthetic": (data.SyntheticImages, (32, 32, 3)),
        f"folder:{home}/pictures": (data.FolderImages, (32, 32, 3)),
        f"arrays:{home}/a:b.npy": (data.ArrayImages, (6, 6, 1)),
        "tfds:cifar10": (data.TFDSImages, (32, 32, 3)),
    }
    for spec, (kind, shape) in cases.items():
        dataset = from_spec(spec)
        assert type(dataset) is kind and dataset.image_shape == shape and dataset.name == spec


def test_the_tilde_is_the_home_folder(home):
    assert count(from_spec("folder:~/pictures", image_size=4)) == 12
    assert count(from_spec("arrays:~/a:b.npy")) == 30


def test_the_origin_gives_the_dataset_again_from_any_directory(home, monkeypatch):
    monkeypatch.chdir(home)
    origins = {
        "folder:pictures": {"spec": f"folder:{home}/pictures"},
        "folder:~/pictures": {"spec": f"folder:{home}/pictures"},
        "arrays:a:b.npy": {"spec": f"arrays:{home}/a:b.npy"},
        "synthetic:16": {"spec": "synthetic:16", "image_size": 16},
        "synthetic:texture=2.5": {"spec": "synthetic:texture=2.5", "texture": 2.5},
    }
    for spec, origin in origins.items():
        assert from_spec(spec).origin == origin
    origin = from_spec("folder:pictures", 8, cache_dir="cache").origin
    assert origin["cache_dir"] == f"{home}/cache"
    origin = from_spec("tfds:cifar10", data_dir="tfds").origin
    assert origin == {"spec": "tfds:cifar10", "data_dir": f"{home}/tfds"}
    dataset = from_spec("folder:pictures", 8)
    images = dataset.images("test")
    monkeypatch.chdir("/")
    again = from_spec(**dataset.origin)
    assert count(again) == 12
    assert np.array_equal(again.images("test"), images)


def test_options_reach_the_sources_that_know_them(home):
    assert from_spec("synthetic", 64, num_train_images=7).num_images("train") == 7
    textured = from_spec("synthetic:64,texture=20", 16)
    assert textured.image_shape == (16, 16, 3) and textured.name == "synthetic:texture=20"
    assert from_spec("synthetic", texture=7.0).name == "synthetic:texture=7"
    assert from_spec("folder:~/pictures", 16, channels=1).image_shape == (16, 16, 1)
    assert from_spec("arrays:~/a:b.npy", image_size=3).image_shape == (3, 3, 1)
    (home / "pictures" / "bad.png").write_bytes(b"bad")
    assert count(from_spec("folder:~/pictures", skip_unreadable=True)) == 12


def test_a_path_without_its_kind_is_named_with_it(tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, images=np.zeros((3, 4, 4, 3), np.uint8))
    for place, kind in ((tmp_path, "folder"), (path, "arrays")):
        with pytest.raises(UserError, match=re.escape(f"expected {kind}:{place} ")):
            from_spec(str(place))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "",
            "unknown dataset ''; expected synthetic, synthetic:SIZE or one of folder:PATH, "
            "arrays:FILE, tfds:NAME, lsun:PATH$",
        ),
        ("Synthetic", "unknown dataset"),
        ("synthetic:3", "image_size: expected an integer from 16 to 256, got 3"),
        ("synthetic:x", "synthetic:SIZE"),
        ("synthetic:", "synthetic:SIZE"),
        ("synthetic:16,32", "synthetic:16,texture=20"),
        ("synthetic:16,texture=", "synthetic:16,texture=20"),
        ("synthetic:16,texture=-3", "synthetic:16,texture=20"),
        ("synthetic:texture=200", r"texture: expected a number in \[0, 128\], got 200"),
        ("folder", "expected folder:PATH"),
        ("folder:", "expected folder:PATH"),
        ("folder: ", "expected folder:PATH"),
        ("arrays:", "expected arrays:FILE"),
        ("tfds", "expected tfds:NAME"),
        ("lsun:", "expected lsun:PATH"),
        ("/home/me/pictures", "unknown dataset"),
        ("folders:x", "unknown dataset"),
        ("folder:no\nsuch", "no such folder"),
        ("bad\nkind", "unknown dataset"),
        (None, "unknown dataset"),
        (7, "unknown dataset"),
    ],
)
def test_wrong_specs_are_explained_in_one_line(spec, message):
    with pytest.raises(UserError, match=message) as raised:
        from_spec(spec)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("synthetic", {"channels": 1}),
        ("folder:x", {"texture": 20.0}),
        ("arrays:x.npy", {"channels": 3}),
        ("folder:x", {"num_train_images": 5}),
        ("synthetic", {"skip_unreadable": True}),
        ("lsun:x", {"data_dir": "x"}),
    ],
)
def test_options_that_do_not_apply_are_refused(spec, options):
    with pytest.raises(UserError, match=f"option {next(iter(options))} does not apply") as raised:
        from_spec(spec, **options)
    assert "\n" not in str(raised.value)


def test_every_option_applies_to_some_kind():
    sources = data.spec.SOURCES.values()
    accepted = {name for source in sources for name in inspect.signature(source).parameters}
    assert set(inspect.signature(from_spec).parameters) - {"spec"} <= accepted


def test_every_kind_has_a_source():
    assert data.spec.SOURCES.keys() == KINDS.keys()


@pytest.mark.slow
def test_importing_the_package_imports_no_reader():
    program = (
        "import sys, pcvae.data; "
        "print([m for m in ('tensorflow_datasets', 'lmdb', 'scipy.io') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.strip() == "[]"
