"""NumPy's files, without pickles: headers and arrays of ``.npy`` and ``.npz``."""

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pcvae.checks import check_bytes
from pcvae.errors import UserError
from pcvae.files import printable

ZIP_MAGIC = b"PK\x03\x04"
NPY_MAGIC = b"\x93NUMPY"
PICKLE_MAGIC = b"\x80"
MAX_HEADER_BYTES = 2**17  # more than NumPy writes or takes; a packed one could be of any length


def read_headers(path: Path) -> dict[str, tuple]:
    """Reads the shape and type of every array in a file; the values are not touched.

    Args:
        path: a ``pathlib.Path`` of an ``.npy`` or ``.npz`` file.

    Returns:
        A dict from the array's name ("" in an ``.npy``) to (shape, dtype).

    Raises:
        UserError: if the file is missing, damaged, of another kind, or holds pickled objects.
    """
    if not path.exists():
        raise UserError(f"no such file: {str(path)!r}")
    if path.is_dir():
        raise UserError(f"expected a .npy or .npz file, but {str(path)!r} is a folder")
    try:
        with path.open("rb") as file:
            if file.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
                file.seek(0)
                headers = {"": _read_header(file)}
            else:
                with zipfile.ZipFile(path) as archive:
                    headers = {
                        name.removesuffix(".npy"): _read_header(archive.open(name))
                        for name in archive.namelist()
                        if name.endswith(".npy")
                    }
    # Damaged files make zipfile, NumPy and the tokenizer inside it raise nearly anything.
    except Exception as error:
        raise _unreadable(path, error) from error
    for name, (_, dtype) in headers.items():
        if dtype.hasobject:
            raise UserError(
                f"{str(path)!r} holds pickled Python objects ({name or 'array'}): pickles are "
                "refused, since loading one may run code; save plain numbers instead"
            )
    return headers


def load_arrays(path: Path, headers: Mapping[str, tuple]) -> dict[str, np.ndarray]:
    """Loads arrays: a memory map from an ``.npy``, arrays in memory from an ``.npz``.

    Args:
        path: a ``pathlib.Path``.
        headers: those that ``read_headers`` gave of the arrays that are loaded.

    Returns:
        A dict from each name to its array.

    Raises:
        UserError: if values cannot be read, or do not fit into memory; a packed file may be much
            smaller than what it holds.
    """
    sizes = [math.prod(shape) * dtype.itemsize for name, (shape, dtype) in headers.items() if name]
    remedy = "; write each as an .npy, which is read from the disk piece by piece"
    check_bytes(printable(path), sum(sizes), "its arrays", remedy)
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return dict.fromkeys(headers, loaded)
        with loaded:
            return {name: loaded[name] for name in headers}
    except Exception as error:  # as above
        raise _unreadable(path, error) from error


def _what_else(path):
    """Returns what a file that NumPy cannot read is, if that is plain to see, or None."""
    try:
        with path.open("rb") as file:
            start = file.read(len(NPY_MAGIC))
    except OSError:
        return None
    if not start:
        return "the file is empty"
    if start.startswith(PICKLE_MAGIC):
        return "it is a pickle, and pickles are refused, since loading one may run code"
    if not start.startswith((ZIP_MAGIC, NPY_MAGIC)):
        return "its content is of another kind"
    return None


def _read_header(file):
    file = io.BytesIO(file.read(MAX_HEADER_BYTES))
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"NumPy file format {version[0]}.{version[1]} holds no plain numbers")
    shape, _, dtype = read[version](file)
    return shape, dtype


def _unreadable(path, error):
    reason = _what_else(path) or " ".join(str(error).split()) or type(error).__name__
    return UserError(f"cannot read {str(path)!r} as a .npy or .npz file: {reason}")
