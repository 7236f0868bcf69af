import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import tensorflow_datasets as tfds
from PIL import Image

from pcvae.data import TFDSImages
from pcvae.data.tfds_images import split_ranges
from pcvae.errors import UserError


@pytest.fixture
def serve(monkeypatch):
    """Returns a dict from the end of a URL to a local file, which TFDS gets instead."""
    files = {}

    def local(url):
        return next(str(path) for end, path in files.items() if url.endswith(end))

    def download(self, urls):
        if isinstance(urls, dict):
            return {key: local(url) for key, url in urls.items()}
        return [local(url) for url in urls] if isinstance(urls, list) else local(urls)

    def download_and_extract(self, urls):
        return self.extract(download(self, urls))

    manager = tfds.download.DownloadManager
    monkeypatch.setattr(manager, "download", download)
    monkeypatch.setattr(manager, "download_and_extract", download_and_extract)
    return files


def random_images(count, *shape):
    return np.random.default_rng(count).integers(0, 256, (count, *shape), np.uint8)


def assert_same_images(found, expected):
    assert sorted(map(bytes, found)) == sorted(map(bytes, expected))


def test_svhn_keeps_the_end_of_train_for_validation_and_leaves_extra(serve, tmp_path):
    images = {"train": random_images(50, 32, 32, 3), "test": random_images(6, 32, 32, 3)}
    for split in ("train", "test", "extra"):
        array = images.get(split, random_images(3, 32, 32, 3))
        file = tmp_path / f"{split}_32x32.mat"
        labels = np.arange(len(array))[:, None] % 10 + 1
        scipy.io.savemat(file, {"X": array.transpose(1, 2, 3, 0), "y": labels})
        serve[file.name] = file
    dataset = TFDSImages("svhn_cropped", data_dir=tmp_path / "tfds")
    assert dataset.image_shape == (32, 32, 3)
    train, validation = dataset.images("train"), dataset.images("validation")
    assert len(train) == 45 and len(validation) == 5
    assert_same_images([*train, *validation], images["train"])
    assert_same_images(dataset.images("test"), images["test"])


@pytest.fixture
def cifar10(serve, tmp_path):
    """Serves a CIFAR-10 of 10 images a file; returns its images as (train, test)."""
    images = random_images(60, 32, 32, 3)
    archive = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:

        def add(name, content):
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))

        names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
        for i, name in enumerate(names):
            own = images[10 * i : 10 * i + 10].transpose(0, 3, 1, 2)
            add(name, b"".join(bytes([n]) + image.tobytes() for n, image in enumerate(own)))
        add("batches.meta.txt", "\n".join(f"class{i}" for i in range(10)).encode())
    serve[archive.name] = archive
    return images[:50], images[50:]


def test_cifar10_is_read_bit_by_bit(cifar10, tmp_path):
    dataset = TFDSImages("cifar10", data_dir=tmp_path / "tfds")
    train, validation = dataset.images("train"), dataset.images("validation")
    assert len(train) == 45 and len(validation) == 5
    assert_same_images([*train, *validation], cifar10[0])
    assert_same_images(dataset.images("test"), cifar10[1])


def test_what_is_prepared_needs_no_download_and_keeps_its_order(cifar10, serve, tmp_path):
    first = TFDSImages("cifar10", data_dir=tmp_path / "tfds").images("train")
    serve.clear()
    options = {"data_dir": tmp_path / "tfds", "download": False}
    again = TFDSImages("cifar10", **options, cache_dir=tmp_path / "another cache")
    assert np.array_equal(again.images("train"), first)


def test_files_that_were_prepared_anew_with_other_content_are_noticed(cifar10, tmp_path):
    dataset = TFDSImages("cifar10", data_dir=tmp_path / "tfds")
    before = dataset.images("test")
    (record,) = (tmp_path / "tfds").glob("cifar10/*/cifar10-test.tfrecord*")
    (train,) = (tmp_path / "tfds").glob("cifar10/*/cifar10-train.tfrecord*")
    status = record.stat()
    shutil.copy(train, record)
    os.truncate(record, status.st_size)
    os.utime(record, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(Exception, match="[Cc]orrupt|[Tt]runcated"):  # of TFDS: it is read again
        TFDSImages("cifar10", data_dir=tmp_path / "tfds").images("test")
    assert len(before) == 10


def test_grey_and_smaller_images_on_request(cifar10, tmp_path):
    plain = TFDSImages("cifar10", data_dir=tmp_path / "tfds")
    grey = TFDSImages("cifar10", 16, channels=1, data_dir=tmp_path / "tfds")
    assert grey.images("test").shape == (10, 16, 16, 1)
    luminance = plain.images("test").astype(float) @ [0.299, 0.587, 0.114]
    means = grey.images("test").mean(axis=(1, 2, 3))
    assert np.abs(means - luminance.mean(axis=(1, 2))).max() < 3


def test_celeb_a_is_cropped_to_the_customary_box(serve, tmp_path):
    with zipfile.ZipFile(tmp_path / "img_align_celeba.zip", "w") as archive:
        for i in range(6):
            image = np.full((218, 178, 3), 255, np.uint8)
            image[40:188, 15:163] = 20 * i  # exactly the box
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=100, subsampling=0)
            archive.writestr(f"img_align_celeba/{i:06d}.jpg", file.getvalue())
    partition = [0, 0, 0, 1, 2, 2]
    module = tfds.builder_cls("celeb_a").__module__
    constants = vars(__import__(module, fromlist=["IMG_ALIGNED_DATA"]))

    def table(name, heading, values, rows=range(6)):
        lines = [f"{i:06d}.jpg {values[i] if isinstance(values, list) else values}" for i in rows]
        (tmp_path / name).write_text("\n".join([*heading, *lines, ""]))
        return tmp_path / name

    attributes, landmarks = constants["ATTR_HEADINGS"], constants["LANDMARK_HEADINGS"]
    serve.update(
        {
            constants["IMG_ALIGNED_DATA"]: tmp_path / "img_align_celeba.zip",
            constants["EVAL_LIST"]: table("eval.txt", [], partition),
            constants["ATTR_DATA"]: table(
                "attr.txt", ["6", " ".join(attributes)], " ".join(["1"] * len(attributes))
            ),
            constants["LANDMARKS_DATA"]: table(
                "landmarks.txt", ["6", " ".join(landmarks)], " ".join(["7"] * len(landmarks))
            ),
            constants["IDENTITY_DATA"]: table("identity.txt", [], "1"),
        }
    )
    dataset = TFDSImages("celeb_a", data_dir=tmp_path / "tfds")
    assert dataset.image_shape == (64, 64, 3)
    for split, greys in {"train": [0, 20, 40], "validation": [60], "test": [80, 100]}.items():
        images = dataset.images(split).astype(int)
        assert sorted(np.rint(images[:, 32, 32, 0]).tolist()) == pytest.approx(greys, abs=2)
        # Nothing of the white around the box is left, and nothing of the box is missing.
        assert np.ptp(images, axis=(1, 2, 3)).max() < 40


@pytest.mark.parametrize("side", [32, 64])
def test_downsampled_imagenet_is_tested_on_its_validation_images(serve, tmp_path, side):
    images = {"train": random_images(30, side, side, 3), "valid": random_images(4, side, side, 3)}
    for split, array in images.items():
        file = tmp_path / f"{split}_{side}x{side}.tar"
        with tarfile.open(file, "w") as tar:
            for i, image in enumerate(array):
                content = io.BytesIO()
                Image.fromarray(image).save(content, "PNG")
                info = tarfile.TarInfo(f"{split}/{i}.png")
                info.size = len(content.getvalue())
                tar.addfile(info, io.BytesIO(content.getvalue()))
        serve[file.name] = file
    name = f"downsampled_imagenet/{side}x{side}"
    dataset = TFDSImages(name, data_dir=tmp_path / "tfds")
    assert dataset.image_shape == (side, side, 3)
    train, validation = dataset.images("train"), dataset.images("validation")
    assert len(train) == 27
    assert_same_images([*train, *validation], images["train"])
    assert_same_images(dataset.images("test"), images["valid"])


def test_the_split_policy_at_the_published_sizes():
    def sizes(**num_examples):
        ranges = split_ranges(num_examples, "a set")
        return {split: f"{name}[{a}:{b}]" for split, (name, a, b) in ranges.items()}

    assert sizes(train=73257, test=26032, extra=531131) == {
        "train": "train[0:68257]",
        "validation": "train[68257:73257]",
        "test": "test[0:26032]",
    }
    assert sizes(train=50000, test=10000)["train"] == "train[0:45000]"
    assert sizes(train=162770, validation=19867, test=19962) == {
        "train": "train[0:162770]",
        "validation": "validation[0:19867]",
        "test": "test[0:19962]",
    }
    assert sizes(train=1281149, validation=49999) == {
        "train": "train[0:1276149]",
        "validation": "train[1276149:1281149]",
        "test": "validation[0:49999]",
    }
    assert sizes(train=1000) == {
        "train": "train[0:810]",
        "validation": "train[810:900]",
        "test": "train[900:1000]",
    }
    with pytest.raises(UserError, match="no split 'train'.*its splits: test"):
        sizes(test=10)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_set", "knows no data set 'no_such_set'"),
        ("cifar10/no_such_config", "cannot build"),
        ("cifar10:9.9.9", "cannot build"),
        ("huggingface:mnist", "knows no data set"),
        ("../etc", "knows no data set"),
        ("two words", "knows no data set"),
        ("imdb_reviews", "no feature of one image each"),
        ("imagenet2012", "set image_size"),
    ],
)
def test_names_that_cannot_be_used_are_explained_in_one_line(name, message, tmp_path):
    with pytest.raises(UserError, match=message) as raised:
        TFDSImages(name, data_dir=tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("options", [{"image_size": 0}, {"image_size": "big"}, {"channels": 2}])
def test_wrong_arguments_are_explained_in_one_line(options, tmp_path):
    with pytest.raises(UserError) as raised:
        TFDSImages("cifar10", data_dir=tmp_path, **options)
    assert "\n" not in str(raised.value)


def test_what_is_not_prepared_names_the_remedy(tmp_path):
    dataset = TFDSImages("mnist", data_dir=tmp_path, download=False)
    assert dataset.image_shape == (28, 28, 1)
    with pytest.raises(UserError, match="set data_dir .* or download=True") as raised:
        dataset.images("train")
    assert "\n" not in str(raised.value)


def test_a_failed_download_names_the_remedy(monkeypatch, tmp_path, capsys):
    def no_network(self, urls):
        said.append(capsys.readouterr().err)
        raise ConnectionError("host not found\nand much more")

    said = []
    monkeypatch.setattr(tfds.download.DownloadManager, "download", no_network)
    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", no_network)
    with pytest.raises(UserError, match="host not found; check the network, or set data_dir") as e:
        TFDSImages("cifar10", data_dir=tmp_path).images("train")
    assert "\n" not in str(e.value)
    assert f"tfds:cifar10: not there yet, downloading and preparing it in {tmp_path}" in said[0]
    assert not list(Path(tmp_path).rglob("*.npy"))
