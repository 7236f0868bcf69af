"""Which images a run's results are about, and how those of others are named."""

import json

import pytest

from pcvae.runs.run_directory import RunDirectory


@pytest.fixture
def directory(tmp_path):
    def of(**origin):
        record = {"data": origin or None, "batch_size": 4}
        (tmp_path / "run.json").write_text(json.dumps(record))
        return RunDirectory(tmp_path)

    return of


def test_the_data_of_a_run_are_its_own_at_any_size_and_in_any_cache(directory):
    run = directory(spec="synthetic:16")
    assert run.has_data(None)
    assert run.has_data({"spec": "synthetic", "image_size": 16, "cache_dir": "/x"})
    assert not run.has_data({"spec": "folder:/photos", "image_size": 16})
    assert not run.has_data({"spec": "synthetic:16", "num_train_images": 5})
    assert not run.has_data({"spec": "synthetic:16,texture=20"})
    textured = directory(spec="synthetic:16,texture=20")
    assert textured.has_data({"spec": "synthetic", "texture": 20.0, "image_size": 32})
    assert not textured.has_data({"spec": "synthetic:16,texture=10"})
    assert directory().has_data({"spec": "folder:/photos"})  # no other data are known


def test_only_all_test_images_of_the_runs_own_data_are_its_result(directory):
    run = directory(spec="folder:/a/digits")
    own, other = {"spec": "folder:/a/digits", "image_size": 8}, {"spec": "folder:/b/digits"}
    assert run.suffix("test", None, own) == ""
    assert run.suffix("train", None, own) == "_train"
    assert run.suffix("test", 64, own) == "_test_64_images"
    elsewhere = run.suffix("test", None, other)
    assert elsewhere.startswith("_test_folder-digits_")
    # Folders of one name are told apart.
    assert elsewhere != run.suffix("test", None, {"spec": "folder:/c/digits"})
    assert run.suffix("test", 3, other).startswith("_test_3_images_folder-digits_")
