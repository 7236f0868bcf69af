"""LSUN's scenes, read from the LMDB files in which they are published."""

import io
import os
from pathlib import Path

from pcvae.checks import check_integer
from pcvae.data.dataset import SPLITS, ImageDataset, check_image_size
from pcvae.data.decode import decode_file, decode_in_threads
from pcvae.data.splits import held_out_count, split_by_name
from pcvae.errors import UserError

DATA_FILE = "data.mdb"


class LSUNImages(ImageDataset):
    """Images of one LSUN category: an LMDB from keys to encoded pictures (WebP or JPEG).

    Splits: where the official ``<category>_val_lmdb`` (300 pictures) lies beside
    ``<category>_train_lmdb``, it is the test split, and the last 5,000 keys of the training LMDB
    (a tenth, where that is less) are the validation split; keys are random, so the last are as good
    as any. A single LMDB is split 80/10/10 by a hash of each key (``splits``). Pictures are cropped
    to their centred square and resized (``decode.fit``), RGB.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        image_size: int = 64,
        num_train_images: int | None = None,
        cache_dir: str | os.PathLike | None = None,
    ) -> None:
        """Finds the LMDB folders; reading waits for the first use.

        Args:
            path: the folder that holds ``<category>_train_lmdb`` and, unless there is only that,
                ``<category>_val_lmdb``; or an LMDB folder itself.
            image_size: side in pixels.
            num_train_images: how many training images to keep, the first by key; None for all
                (3 million bedrooms take 37 GB of cache at 64x64).
            cache_dir: see ``ImageDataset``.

        Raises:
            UserError: if there is no LMDB, or more than one category.
        """
        image_size = check_image_size(image_size)
        if num_train_images is not None:
            num_train_images = check_integer("num_train_images", num_train_images, 1)
        self._train, self._val = _find(Path(os.path.expanduser(path)))
        self._num_train_images = num_train_images
        content = {"num_train_images": num_train_images}
        super().__init__(f"lsun:{path}", (image_size, image_size, 3), content, cache_dir)

    def _files(self):
        folders = {"train": self._train, "val": self._val}
        return self._train, {name: f / DATA_FILE for name, f in folders.items() if f}

    def _prepare(self, writers):
        side = self.image_shape[0]
        keys = _keys(self._train)
        if self._val:
            rest = len(keys) - max(1, held_out_count(len(keys)))
            groups = {"train": keys[:rest], "validation": keys[rest:], "test": _keys(self._val)}
        else:
            names = [key.decode("utf-8", "surrogateescape") for key in keys]
            members = split_by_name(names, f"the LMDB {str(self._train)!r}")
            groups = {split: [keys[i] for i in members[split]] for split in SPLITS}
        groups["train"] = groups["train"][: self._num_train_images]
        first_unreadable, count = None, 0
        total = sum(len(group) for group in groups.values())
        decoded = decode_in_threads(
            self._encoded(groups), lambda item: decode_file(io.BytesIO(item[2]), side, 3)
        )
        for item, image, error in self._counted(decoded, total, "decoding images"):
            if error is None:
                writers[item[0]].write(image, item[1])
            else:
                first_unreadable = first_unreadable or item[1]
                count += 1
        if count:
            raise UserError(
                f"{count} of {total} values in {self.name!r} are no images that can be decoded, "
                f"the first has the key {first_unreadable!r}; download the LMDB again"
            )

    def _encoded(self, groups):
        """Yields (split, key, encoded picture)."""
        for split, keys in groups.items():
            folder = self._val if split == "test" and self._val else self._train
            with _open(folder) as environment, environment.begin() as transaction:
                for key in keys:
                    yield split, key, transaction.get(key)


def _find(root):
    """Returns the folders of the training LMDB and of the official validation LMDB (or None)."""
    if not root.is_dir():
        raise UserError(f"no such folder: {str(root)!r}; expected an LMDB folder of LSUN")
    if (root / DATA_FILE).is_file():
        return root, None
    found = sorted(file.parent for file in root.glob(f"*_train_lmdb/{DATA_FILE}"))
    if not found:
        raise UserError(
            f"no LMDB in {str(root)!r}: expected {DATA_FILE} there, or in a folder "
            "<category>_train_lmdb such as bedroom_train_lmdb"
        )
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise UserError(f"{str(root)!r} holds several LMDBs ({names}); give the path of one")
    val = root / found[0].name.replace("_train_lmdb", "_val_lmdb")
    return found[0], val if (val / DATA_FILE).is_file() else None


def _open(folder):
    """Opens an LMDB for reading; it is closed by leaving a ``with`` block."""
    import lmdb  # only who reads LSUN pays for the import

    try:
        environment = lmdb.open(str(folder), readonly=True, lock=False, readahead=False)
    except lmdb.Error as error:
        reason = str(error).removeprefix(f"{folder}: ")
        raise UserError(f"cannot read {str(folder)!r} as an LMDB: {reason}") from error
    # LMDB maps the file into memory: a page beyond its end would kill the process.
    expected = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    found = (folder / DATA_FILE).stat().st_size
    if found < expected:
        environment.close()
        raise UserError(
            f"{str(folder / DATA_FILE)!r} is cut short: {found:,} of {expected:,} bytes; download "
            "it again"
        )
    return environment


def _keys(folder):
    with _open(folder) as environment, environment.begin() as transaction:
        keys = list(transaction.cursor().iternext(keys=True, values=False))
    if not keys:
        raise UserError(f"the LMDB {str(folder)!r} is empty")
    return keys
