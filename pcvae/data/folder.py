"""A folder of photographs or other pictures."""

import functools
import os
from pathlib import Path

from pcvae.checks import some_names
from pcvae.data.cache import cache_root
from pcvae.data.dataset import SPLITS, ImageDataset, check_image_size
from pcvae.data.decode import decode_file, decode_in_threads, explain, range_of_16_bits
from pcvae.data.deep_pictures import is_deep, white_of_pictures
from pcvae.data.outputs import is_output, is_own_picture
from pcvae.data.split_names import split_folders
from pcvae.data.splits import TEST_FRACTION, VALIDATION_FRACTION, split_by_name
from pcvae.data.values import check_max_value
from pcvae.errors import UserError
from pcvae.files import printable
from pcvae.progress import report, with_progress

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class FolderImages(ImageDataset):
    """Every PNG, JPEG and WebP file of a folder and the folders in it.

    Pictures are cropped to their centred square and resized (``decode.fit``). Files and folders
    whose name starts with a dot are left out, and so is, with a line, what pcvae has written
    (``outputs``), unless there is nothing else; links are followed.

    Folders called ``train``, ``val`` or ``test`` are those splits (``split_names``). Other splits
    come from a hash of each file's path within the folder (``splits``), so adding files never moves
    others. A line says which split was taken from where, and which images two splits share.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        image_size: int = 32,
        channels: int = 3,
        validation_fraction: float = VALIDATION_FRACTION,
        test_fraction: float = TEST_FRACTION,
        skip_unreadable: bool = False,
        max_value: float | None = None,
        cache_dir: str | os.PathLike | None = None,
    ) -> None:
        """Lists the folder; reading and decoding wait for the first use.

        Args:
            path: the folder.
            image_size: side in pixels.
            channels: 3 for colour, 1 for grey.
            validation_fraction: share of the validation split.
            test_fraction: share of the test split.
            skip_unreadable: whether damaged files are left out with a warning, instead of an error.
            max_value: the value that is white in pictures of 16 bits; None for the rule of
                ``values``.
            cache_dir: see ``ImageDataset``.

        Raises:
            UserError: if the folder is missing or holds no pictures, or an argument is wrong.
        """
        image_size = check_image_size(image_size)
        if channels not in (1, 3):
            raise UserError(f"a folder gives 1 or 3 channels, got channels={channels!r}")
        self._root = Path(os.path.expanduser(path))
        self._skip_unreadable = skip_unreadable
        self._max_value = check_max_value(max_value)
        name = f"folder:{path}"
        names, outputs = list_files(self._root, cache_root(cache_dir))
        source = f"the folder {str(path)!r}"
        split_of, self._lines = split_folders(names, source)
        wanted = [split for split in SPLITS if split not in split_of.values() and split != "train"]
        rest = [each for each in names if split_of.get(each, "train") == "train"]
        self._names = {split: [n for n in names if split_of.get(n) == split] for split in SPLITS}
        if wanted:
            members = split_by_name(rest, source, validation_fraction, test_fraction, wanted)
            for split, positions in members.items():
                self._names[split] = [rest[position] for position in positions]
        if outputs:
            report(f"{name}: left out, as written by pcvae: {some_names(outputs, 3)}")
        content = {
            "splits": self._names,
            "skip_unreadable": bool(skip_unreadable),
            "max_value": self._max_value,
        }
        super().__init__(name, (image_size, image_size, channels), content, cache_dir)

    def _files(self):
        names = sorted(name for some in self._names.values() for name in some)
        return self._root, {name: os.path.join(self._root, name) for name in names}

    def _prepare(self, writers):
        side, _, channels = self.image_shape
        tasks = [(split, name) for split in self.splits for name in self._names[split]]
        own = {name for _, name in tasks if is_own_picture(self._root / name)}
        if len(own) < len(tasks):  # else they were asked for
            tasks = [task for task in tasks if task[1] not in own]
        else:
            own = set()
        white = self._white([name for _, name in tasks])
        without_profile: list[str] = []

        def decode(task):
            note = functools.partial(without_profile.append, task[1])
            return decode_file(self._root / task[1], side, channels, white, note)

        first_unreadable, reason, count = None, None, 0
        for (split, name), image, error in self._counted(
            decode_in_threads(tasks, decode), len(tasks), "decoding images"
        ):
            if error is None:
                writers[split].write(image, name)
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
        lines = list(self._lines)
        if own:
            lines.append(f"left out {len(own)} pictures that pcvae wrote, such as {min(own)!r}")
        if count:
            lines.append(f"skipped {count} of {len(tasks)} images that cannot be decoded")
        if without_profile:
            lines.append(
                f"warning: the colour profiles of {len(without_profile)} pictures cannot be used, "
                f"and their values are taken for sRGB; the first is {min(without_profile)!r}"
            )
        return lines

    def _white(self, names):
        """Returns the value that is white in pictures of 16 bits, after a look at all of them."""
        deep = [name for name in names if is_deep(self._root / name)]
        if not deep:
            return white_of_pictures([], None, self.name)
        looked = decode_in_threads(deep, lambda name: range_of_16_bits(self._root / name))
        label = f"{self.name}: looking for the largest value of pictures of 16 bits"
        ranges = [found for _, found, _ in with_progress(looked, len(deep), label) if found]
        white = white_of_pictures(ranges, self._max_value, self.name)
        report(f"{self.name}: values of 16 bits are multiplied by 255 / {white:g} and rounded")
        return white


def list_files(root: Path, cache: Path | None = None) -> tuple[list[str], list[str]]:
    """Returns the paths of the pictures below a folder, relative and sorted, and what is left out.

    Args:
        root: the folder.
        cache: the folder of prepared images, which holds none.

    Returns:
        The paths with ``/``; and the folders that pcvae has written, which are left out.
    """
    if not root.exists():
        raise UserError(f"no such folder: {str(root)!r}")
    if not root.is_dir():
        raise UserError(f"expected a folder of images, but {str(root)!r} is a file")
    found, outputs, visited, other = [], [], set(), 0
    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=_refuse):
        real = os.path.realpath(folder)
        if real in visited:  # a link that leads back
            subfolders.clear()
            continue
        visited.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        own = [name for name in subfolders if is_output(Path(folder), name, cache)]
        outputs += [printable(Path(folder, name).relative_to(root)) for name in own]
        subfolders[:] = [name for name in subfolders if name not in own]
        for name in names:
            file = Path(folder, name)
            if name.startswith(".") or not name.lower().endswith(SUFFIXES) or not file.is_file():
                other += 1
                continue
            found.append(file.relative_to(root).as_posix())
    if not found:
        left_out = f"; left out, as written by pcvae: {some_names(outputs, 3)}" if outputs else ""
        raise UserError(
            f"no images in {str(root)!r}: expected PNG, JPEG or WebP files there or in folders "
            f"below, found {other} other files{left_out}"
        )
    return sorted(found), outputs


def _refuse(error):
    raise UserError(f"cannot read the folder {error.filename!r}: {error.strerror}")
