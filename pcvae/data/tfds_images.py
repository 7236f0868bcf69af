"""Images from TensorFlow Datasets (TFDS).

Where TFDS has no split of a name, the policy is the same for every set:

- ``test`` is TFDS' ``test``; without one, its ``validation``; without both, the end of ``train``.
- ``validation`` is TFDS' ``validation`` where that is not the test split, else the end of what is
  left of ``train``.
- "The end" is the last 5,000 images, or a tenth where that is less.

So svhn_cropped trains on 68,257 images and keeps 5,000 for validation (its ``extra`` is unused),
cifar10 is divided 45,000 / 5,000 / 10,000 as usual, celeb_a has its own three splits, and
downsampled_imagenet is tested on its published validation images. celeb_a is cropped to the box
(left 15, top 40, right 163, bottom 188) before it is resized, as NVAE and its successors do.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pcvae.data.dataset import ImageDataset, check_image_size
from pcvae.data.decode import decode_in_threads, fit_array
from pcvae.data.splits import held_out_count
from pcvae.errors import UserError
from pcvae.progress import report

CROP_BOXES = {"celeb_a": (15, 40, 163, 188)}  # left, top, right, bottom
IMAGE_SIZES = {"celeb_a": 64, "downsampled_imagenet/32x32": 32, "downsampled_imagenet/64x64": 64}
CATALOG = "https://www.tensorflow.org/datasets/catalog"
LUMINANCE = (0.299, 0.587, 0.114)


class TFDSImages(ImageDataset):
    """The images of one TFDS data set, cropped to squares and resized (``decode.fit``)."""

    def __init__(
        self,
        name: str,
        image_size: int | None = None,
        channels: int | None = None,
        data_dir: str | os.PathLike | None = None,
        download: bool = True,
        cache_dir: str | os.PathLike | None = None,
    ) -> None:
        """Finds the data set; downloading and reading wait for the first use.

        Args:
            name: a name that TFDS knows, with a configuration or version if wanted:
                ``svhn_cropped``, ``downsampled_imagenet/64x64``.
            image_size: side in pixels; None keeps the size of square images, 64 for celeb_a.
            channels: 1 (luminance) or 3 (RGB, grey images three times over); None keeps the set's.
            data_dir: where TFDS keeps its files; None for its default.
            download: whether TFDS may download and prepare what is not there yet.
            cache_dir: see ``ImageDataset``.

        Raises:
            UserError: if TFDS does not know the name, or the set holds no 8-bit images.
        """
        builder = _find_builder(name, data_dir)
        self._tfds_name, self._data_dir, self._download = name, data_dir, download
        self._feature, shape = _image_feature(builder, name)
        own_name = builder.name
        config = builder.builder_config
        full_name = f"{own_name}/{config.name}" if config else own_name
        self._box = CROP_BOXES.get(own_name)
        side = IMAGE_SIZES.get(full_name) if image_size is None else image_size
        if side is None:
            side = shape[0]
            if side is None or side != shape[1]:
                raise UserError(
                    f"the images of tfds:{name} are not squares of one size (shape {shape}); set "
                    "image_size to crop and resize them"
                )
        side = check_image_size(side)
        if channels not in (None, shape[2]) and {channels, shape[2]} != {1, 3}:
            raise UserError(
                f"the images of tfds:{name} have {shape[2]} channels, got channels={channels!r}"
            )
        content = {
            "name": full_name,
            "version": str(builder.version),
            "data_path": str(builder.data_path),
            "box": self._box,
        }
        image_shape = (side, side, channels or shape[2])
        super().__init__(f"tfds:{name}", image_shape, content, cache_dir)

    def _files(self):
        builder = _prepared_builder(self._tfds_name, self._data_dir, self._download)
        folder = str(builder.data_path)
        if "://" in folder:  # a bucket: its version has to do
            return super()._files()
        return Path(folder), {p.name: p for p in sorted(Path(folder).iterdir()) if p.is_file()}

    def _prepare(self, writers):
        builder = _prepared_builder(self._tfds_name, self._data_dir, self._download)
        ranges = split_ranges(
            {split: info.num_examples for split, info in builder.info.splits.items()}, self.name
        )
        total = sum(end - start for _, start, end in ranges.values())
        images = decode_in_threads(self._read(builder, ranges), self._fit)
        for (split, _), image, error in self._counted(images, total, "reading images"):
            if error is not None:
                raise error
            writers[split].write(image)

    def _read(self, builder, ranges):
        """Yields (split, uint8 [height, width, channels]) for every image of every split."""
        import tensorflow_datasets as tfds

        decoders = tfds.decode.PartialDecoding({self._feature: True})
        for split, (source, start, end) in ranges.items():
            if start < end:
                examples = builder.as_dataset(
                    split=f"{source}[{start}:{end}]", shuffle_files=False, decoders=decoders
                )
                for example in tfds.as_numpy(examples):
                    yield split, example[self._feature]

    def _fit(self, item):
        side, _, channels = self.image_shape
        image = item[1]
        if image.shape[:2] != (side, side) or self._box:
            image = fit_array(image, side, self._box)
        if channels == 1 and image.shape[-1] == 3:
            grey = image @ np.array(LUMINANCE)
            image = np.rint(grey[..., None]).astype(np.uint8)
        return np.repeat(image, 3, axis=-1) if channels > image.shape[-1] else image


def split_ranges(num_examples: Mapping[str, int], source: str) -> dict[str, tuple[str, int, int]]:
    """Applies the split policy of this module.

    Args:
        num_examples: a dict from TFDS' split names to numbers of examples.
        source: what is divided, for the error.

    Returns:
        A dict from train, validation and test to (TFDS' split, first, one past the last).

    Raises:
        UserError: if there is no training split.
    """
    if "train" not in num_examples:
        found = ", ".join(num_examples) or "none"
        raise UserError(f"{source} has no split 'train' to learn from; its splits: {found}")
    left = num_examples["train"]
    ranges = {}
    for split, names in {"test": ("test", "validation"), "validation": ("validation",)}.items():
        taken = {given for given, _, _ in ranges.values()}
        own = [name for name in names if name in num_examples and name not in taken]
        if own:
            ranges[split] = (own[0], 0, num_examples[own[0]])
        else:
            held_out = held_out_count(left)
            ranges[split] = ("train", left - held_out, left)
            left -= held_out
    return {"train": ("train", 0, left), **ranges}


def _find_builder(name, data_dir):
    import tensorflow_datasets as tfds  # only who reads TFDS pays for the import

    # Other names make TFDS look for code: of a community, or that which a folder of data names.
    if str(name).split("/")[0].split(":")[0] not in tfds.list_builders(
        with_community_datasets=False
    ):
        raise UserError(f"TFDS knows no data set {name!r}; see {CATALOG}")
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.registered.DatasetNotFoundError as error:
        raise UserError(f"TFDS knows no data set {name!r}; see {CATALOG}") from error
    # Builders are third-party code and fail with exceptions of every kind.
    except Exception as error:
        raise UserError(
            f"TFDS cannot build {name!r}: {_first_line(error)}; see {CATALOG}"
        ) from error


def _image_feature(builder, name):
    """Returns the name and shape of the feature that holds the images."""
    import tensorflow_datasets as tfds

    features = builder.info.features or {}
    images = [key for key in features if type(features[key]) is tfds.features.Image]
    if "image" not in images and len(images) != 1:
        found = ", ".join(features) or "none"
        raise UserError(f"tfds:{name} has no feature of one image each; its features: {found}")
    key = "image" if "image" in images else images[0]
    feature = features[key]
    if feature.np_dtype != np.uint8 or feature.shape[-1] not in (1, 2, 3, 4):
        raise UserError(
            f"the images of tfds:{name} are {feature.np_dtype.__name__} of shape {feature.shape}; "
            "expected uint8 with 1 to 4 channels"
        )
    return key, feature.shape


def _prepared_builder(name, data_dir, download):
    """Returns the builder of a data set, downloaded and prepared now if it was not."""
    builder = _find_builder(name, data_dir)
    if builder.is_prepared():
        return builder
    folder = str(builder.data_path)
    if not download:
        raise UserError(
            f"tfds:{name} is not prepared in {folder!r}; set data_dir to where it is, or "
            "download=True"
        )
    report(f"tfds:{name}: not there yet, downloading and preparing it in {folder} (by TFDS)")
    try:
        builder.download_and_prepare()
        return builder
    # As above; without a network it is one of several connection errors, after some minutes.
    except Exception as error:
        raise UserError(
            f"TFDS cannot prepare {name} in {folder!r}: {_first_line(error)}; check the network, "
            "or set data_dir to where it is prepared already"
        ) from error


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]
