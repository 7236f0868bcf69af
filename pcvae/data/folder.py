"""A folder of photographs or other pictures."""

import os
from pathlib import Path

from pcvae.data.dataset import ImageDataset, check_image_size
from pcvae.data.decode import decode_file, decode_in_threads, explain
from pcvae.data.splits import TEST_FRACTION, VALIDATION_FRACTION, split_by_name
from pcvae.errors import UserError
from pcvae.progress import report, with_progress

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class FolderImages(ImageDataset):
    """Every PNG, JPEG and WebP file of a folder and the folders in it.

    Pictures are cropped to their centred square and resized (``decode.fit``). Files and folders
    whose name starts with a dot are left out; links are followed. Splits come from a hash of each
    file's path within the folder (``splits``), so adding files never moves others.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        image_size: int = 32,
        channels: int = 3,
        validation_fraction: float = VALIDATION_FRACTION,
        test_fraction: float = TEST_FRACTION,
        skip_unreadable: bool = False,
        cache_dir: str | os.PathLike | None = None,
    ) -> None:
        """Lists the folder; decoding waits for the first use.

        Args:
            path: the folder.
            image_size: side in pixels.
            channels: 3 for colour, 1 for grey.
            validation_fraction: share of the validation split.
            test_fraction: share of the test split.
            skip_unreadable: whether damaged files are left out with a warning, instead of an error.
            cache_dir: see ``ImageDataset``.

        Raises:
            UserError: if the folder is missing or holds no pictures, or an argument is wrong.
        """
        image_size = check_image_size(image_size)
        if channels not in (1, 3):
            raise UserError(f"a folder gives 1 or 3 channels, got channels={channels!r}")
        self._root = Path(os.path.expanduser(path))
        self._skip_unreadable = skip_unreadable
        files = list_files(self._root)
        source = f"the folder {str(path)!r}"
        members = split_by_name(list(files), source, validation_fraction, test_fraction)
        names = list(files)
        self._names = {
            split: [names[position] for position in positions]
            for split, positions in members.items()
        }
        content = {
            "files": [[name, *stat] for name, stat in files.items()],
            "fractions": [validation_fraction, test_fraction],
            "skip_unreadable": bool(skip_unreadable),
        }
        shape = (image_size, image_size, channels)
        super().__init__(f"folder:{path}", shape, content, cache_dir)

    def _prepare(self, writers):
        side, _, channels = self.image_shape
        tasks = [(split, name) for split in self.splits for name in self._names[split]]
        decoded = decode_in_threads(
            tasks, lambda task: decode_file(self._root / task[1], side, channels)
        )
        first_unreadable, reason, count = None, None, 0
        for (split, name), image, error in with_progress(
            decoded, len(tasks), f"{self.name}: decoding images"
        ):
            if error is None:
                writers[split].write(image)
            else:
                if not count:
                    first_unreadable, reason = name, explain(error, self._root / name)
                count += 1
        if count and not self._skip_unreadable:
            raise UserError(
                f"{count} of {len(tasks)} images in {str(self._root)!r} cannot be decoded, the "
                f"first is {first_unreadable!r} ({reason}); fix or remove them, or leave them out "
                "by --gin.data.from_spec.skip_unreadable=True"
            )

    def _load(self):
        arrays = super()._load()
        listed = sum(len(names) for names in self._names.values())
        skipped = listed - sum(len(array) for array in arrays.values())
        if skipped:
            report(f"{self.name}: skipped {skipped} of {listed} images that cannot be decoded")
        return arrays


def list_files(root: Path) -> dict[str, tuple[int, int]]:
    """Returns a dict from relative path, sorted, to (size, time of change in ns)."""
    if not root.exists():
        raise UserError(f"no such folder: {str(root)!r}")
    if not root.is_dir():
        raise UserError(f"expected a folder of images, but {str(root)!r} is a file")
    found, visited, other = {}, set(), 0
    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=_refuse):
        real = os.path.realpath(folder)
        if real in visited:  # a link that leads back
            subfolders.clear()
            continue
        visited.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in names:
            file = Path(folder, name)
            if name.startswith(".") or not name.lower().endswith(SUFFIXES) or not file.is_file():
                other += 1
                continue
            stat = file.stat()
            found[file.relative_to(root).as_posix()] = (stat.st_size, stat.st_mtime_ns)
    if not found:
        raise UserError(
            f"no images in {str(root)!r}: expected PNG, JPEG or WebP files there or in folders "
            f"below, found {other} other files"
        )
    return dict(sorted(found.items()))


def _refuse(error):
    raise UserError(f"cannot read the folder {error.filename!r}: {error.strerror}")
