"""The in-domain extractor, and files that are fetched only with their hash."""

import functools
import http.server
import threading

import keras
import numpy as np
import pytest

from pcvae import data, measure
from pcvae.errors import UserError
from pcvae.measure import as_extractor, file_sha256
from pcvae.measure.synthetic_classifier import build_classifier
from pcvae.runs.find_extractor import fetch, find_extractor
from pcvae.runs.train_extractor import cached_path, train_extractor

pytestmark = pytest.mark.slow

SMALL = {"image_size": 16, "num_images": 960, "epochs": 2}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_extractor(output=tmp_path_factory.mktemp("extractor") / "a.keras", **SMALL)


def test_equal_seeds_give_equal_weights_bit_by_bit(tmp_path):
    tiny = {"image_size": 16, "num_images": 128, "epochs": 1}
    paths = [train_extractor(output=tmp_path / name, **tiny) for name in ("a.keras", "b.keras")]
    one, two = (keras.saving.load_model(path).get_weights() for path in paths)
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first, second)
    assert as_extractor(paths[0]).sha256 == as_extractor(paths[1]).sha256
    starts = [build_classifier(16, seed).get_weights()[0] for seed in (0, 1)]
    assert not np.array_equal(*starts)
    assert not np.array_equal(one[0], starts[0])  # it was trained
    assert not list(tmp_path.glob(".*"))


def test_the_one_that_is_blind_to_texture_reads_too(monkeypatch, tmp_path, capsys):
    """It is found under its own name, and gives features and legible shares."""
    monkeypatch.setenv("PCVAE_CACHE_DIR", str(tmp_path))
    path = train_extractor(
        image_size=16, num_images=64, epochs=1, extractor="structure", output=tmp_path / "a.keras"
    )
    said = capsys.readouterr().out
    assert "under texture, blur and noise of" in said
    found = cached_path(16, extractor="structure")
    assert found.name.startswith("synthetic-structure-16-v1-")
    found.parent.mkdir()
    found.write_bytes(path.read_bytes())
    extractor = find_extractor("structure", (16, 16, 3))
    assert extractor.sha256 in said and extractor.name == "synthetic-structure-16-v1"
    images = np.stack([data.draw_picture(0, "test", i, 16).image for i in range(4)])
    # What was not trained is certain of nothing.
    assert not measure.collect_features(images, extractor.legibility).kept.any()
    with pytest.raises(UserError, match="expected structure:SIZE with 16 to 256"):
        find_extractor("structure:8", (16, 16, 3))


def test_features_see_what_differs_between_sets(trained):
    """Held-out pictures are near; blurred, brighter, and mirrored ones are not."""
    pictures = [data.draw_picture(0, "test", i, 16) for i in range(800)]
    images = np.stack([picture.image for picture in pictures])
    network = as_extractor(trained)
    reference, others = np.split(images, 2)
    blurred = (others + np.roll(others.astype(int), 1, axis=2)) // 2
    brighter = np.minimum(others.astype(int) + 30, 255)
    changed = {
        "same": others,
        "blurred": blurred,
        "brighter": brighter,
        "mirrored": others[:, ::-1],
    }
    features = {
        name: measure.collect_features(array.astype(np.uint8), network).statistics
        for name, array in changed.items()
    }
    reference = measure.collect_features(reference, network).statistics
    distances = {name: measure.frechet_distance(f, reference) for name, f in features.items()}
    assert np.trace(reference.covariance) == pytest.approx(96, rel=0.2)  # as it promises
    for name in ("blurred", "brighter", "mirrored"):
        assert distances[name] > 1.15 * distances["same"], distances


def test_the_name_finds_it_at_the_size_of_the_images(trained):
    path = cached_path(16)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(trained.read_bytes())
    for image_shape in ((16, 16, 3), (16, 16, 1)):
        extractor = find_extractor("synthetic", image_shape)
        assert extractor.name == "synthetic-classifier-16-v1"
        assert extractor.sha256 == as_extractor(trained).sha256
    with pytest.raises(UserError, match="not 0000"):
        find_extractor("synthetic", (16, 16, 3), sha256="0" * 64)
    resized = find_extractor("synthetic:16", (12, 20, 3), resize="bilinear")
    assert "to 16x16" in resized.protocol((12, 20, 3))["resize"]
    for source, image_shape, says in (
        ("synthetic", (12, 20, 3), "takes squares of 16 to 256 pixels, the images have 12x20"),
        ("synthetic:16", (12, 20, 3), "say how they are resized"),
        ("synthetic", (16, 16, 4), "takes images of 3 channels, got 4"),
    ):
        with pytest.raises(UserError, match=says):
            find_extractor(source, image_shape)
    path.unlink()


@pytest.fixture
def address(tmp_path, trained):
    """The address of a file on a server of this machine."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=trained.parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/{trained.name}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_files_are_fetched_once_and_only_with_their_hash(
    address, trained, tmp_path, monkeypatch, capfd
):
    monkeypatch.setenv("PCVAE_CACHE_DIR", str(tmp_path))
    with pytest.raises(UserError, match="--extractor_sha256"):
        fetch(address, None)
    with pytest.raises(UserError, match="expected the SHA-256 0000"):
        fetch(address, "0" * 64)
    with pytest.raises(UserError, match="cannot be fetched"):
        fetch(address + ".none", "0" * 64)
    for sha256 in ("00", "../" * 22):  # a part of the path of the file
        with pytest.raises(UserError, match="expected 64 hexadecimal digits"):
            fetch(address, sha256)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    sha256 = file_sha256(trained)
    extractor = find_extractor(address, (16, 16, 3), sha256=sha256.upper())
    assert extractor.name == "a"
    capfd.readouterr()
    assert fetch(address, sha256).read_bytes() == trained.read_bytes()
    assert "GET" not in capfd.readouterr().err  # the server's log
    # The hash in a protocol is that of the weights: a .keras file holds the time of day.
    assert find_extractor(trained, (16, 16, 3), sha256=extractor.sha256).sha256 != sha256
    with pytest.raises(UserError, match=f"its SHA-256 is {extractor.sha256}, not 0000"):
        find_extractor(trained, (16, 16, 3), sha256="0" * 64)


def test_arguments_out_of_range(tmp_path):
    for arguments, says in (
        ({"image_size": 15}, "image_size"),
        ({"image_size": 16, "seed": -1}, "seed"),
        ({"image_size": 16, "epochs": 0}, "epochs"),
        ({"image_size": 16, "num_images": 63}, "num_images"),
    ):
        with pytest.raises(UserError, match=says):
            train_extractor(**arguments)
