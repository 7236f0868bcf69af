"""Cheap mistakes in what flags name, told before TensorFlow is imported and anything is trained."""

import os
from collections.abc import Sequence

from absl import flags

from pcvae import gin_utils
from pcvae.checks import check_folder, check_package
from pcvae.errors import UserError
from pcvae.sources import EXTRACTORS, check_source

_PLACES = ("export", "lpips_weights", "weights", "backbone", "lins")
_TORCH = ("weights", "backbone", "lins")


def check_flags(values: flags.FlagValues) -> None:
    """Checks the flags that name files, folders and sources, by what their names mean everywhere.

    Raises:
        UserError: a file, a folder or a package is missing, or cannot be written.
    """
    given = {name: values[name].value for name in values if values[name].value is not None}
    if "data" in given:
        check_source(given["data"])
    gin_files = [*given.get("gin_file", []), *map(str.strip, given.get("stages", []))]
    gin_utils.check_files(gin_files, given.get("gin_search_path", []))
    for name in _PLACES:
        if name in given and not os.path.exists(given[name]):
            raise UserError(f"--{name}={given[name]}: there is no such file or folder")
    for name in _TORCH:
        if name in given and given[name].lower().endswith((".th", ".pth", ".pt")):
            check_package("torch", "import", f"--{name}={given[name]}: a file of PyTorch")
    if "condition" in given:
        _check_condition(given["condition"])
    if "extractor" in given:
        check_extractor(given["extractor"], given.get("extractor_sha256"))
    if "per_image" in given:
        check_file_place("per_image", given["per_image"])


def check_extractor(extractor: str, sha256: str | None = None) -> None:
    """Raises UserError unless an extractor is a known name, a file that is there, or can be had."""
    if extractor.startswith(("http:", "https:")):
        if not sha256:
            raise UserError(
                f"extractor {extractor}: a file from the network needs the SHA-256 that it must "
                "have (--extractor_sha256=HEX)"
            )
    elif extractor.partition(":")[0] not in EXTRACTORS and not os.path.exists(extractor):
        raise UserError(f"--extractor={extractor}: there is no such file or folder")


def check_file_place(name: str, path: str) -> None:
    """Raises UserError unless a file can be made at a path, which a flag names, or replaced."""
    check_folder(os.path.dirname(path) or os.curdir, f"--{name}={path}, folder")
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise UserError(f"--{name}={path}: expected a file that can be written, but it cannot")


def check_results(run_dir: str, folders: Sequence[str] = ("results", "images")) -> None:
    """Raises UserError unless the folders of a run directory that get results can be written."""
    for folder in folders:
        check_folder(os.path.join(run_dir, folder), "--run_dir")


def _check_condition(text):
    """Labels are numbers; everything else is the path of images."""
    numbers = all(part.strip().lstrip("-").isdecimal() for part in text.split(","))
    if not numbers and not os.path.exists(os.path.expanduser(text)):
        raise UserError(f"--condition={text}: expected labels such as 0,1,2, or a path that exists")
