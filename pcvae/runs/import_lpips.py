"""The weights of LPIPS: read from a file, and converted into one from the published files."""

from pathlib import Path

import numpy as np

from pcvae import measure
from pcvae.data.numpy_files import load_arrays, read_headers
from pcvae.errors import UserError
from pcvae.files import write_arrays
from pcvae.measure.lpips import canonical_names, check_lpips_shapes, lpips_from_arrays
from pcvae.runs.torch_files import TORCH_SUFFIXES, read_torch_state, tensor_values


def import_lpips(*, backbone, lins, output):
    """Writes one ``.npz`` of all weights of LPIPS, from the published files.

    Args:
        backbone: the state dict of torchvision's AlexNet or VGG-16 (``.pth``), or an ``.npz`` of
            the same names.
        lins: the linear layers of the package lpips, ``lpips/weights/v0.1/alex.pth`` or
            ``vgg.pth``, or an ``.npz`` of the same names.
        output: the file that is written.

    Raises:
        UserError: a file holds something else, or the two do not belong together; nothing is
            written then.
    """
    arrays = {}
    for path, flag, kind in ((backbone, "--backbone", "features."), (lins, "--lins", "lin")):
        found = _read(Path(path), flag)
        arrays |= {name: array for name, array in found.items() if name.startswith(kind)}
    network, _ = check_lpips_shapes({name: array.shape for name, array in arrays.items()})
    output = Path(output)
    write_arrays(output, **arrays)
    print(
        f"LPIPS with {network}, sha256 {measure.file_sha256(output)}",
        f"wrote {output}",
        sep="\n",
    )


def read_lpips(path):
    """Returns an `measure.LPIPS` and what the protocol says of it.

    Args:
        path: an ``.npz`` of `import_lpips`.

    Raises:
        UserError: the file is missing, or holds something else.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise UserError(
            f"--lpips_weights={path}: expected a file in .npz, as pcvae-import-lpips writes it"
        )
    model = lpips_from_arrays(_read_arrays(path))
    protocol = {"network": model.network, "version": "0.1", "weights": path.name}
    return model, {**protocol, "sha256": measure.file_sha256(path)}


def _read(path, flag):
    suffix = path.suffix.lower()
    if suffix not in (*TORCH_SUFFIXES, ".npz"):
        expected = ", ".join((*TORCH_SUFFIXES, ".npz"))
        raise UserError(f"{flag}={path}: expected a file in {expected}")
    if not path.is_file():
        raise UserError(f"{flag}={path}: there is no such file")
    if suffix == ".npz":
        headers = read_headers(path)
        keys = canonical_names(headers)
        arrays = load_arrays(path, keys.values())
        return {name: np.asarray(arrays[key], np.float32) for name, key in keys.items()}
    state = read_torch_state(path, flag)
    return {name: tensor_values(state[key]) for name, key in canonical_names(state).items()}


def _read_arrays(path):
    """Reads an ``.npz``; names and shapes are compared before any values are read."""
    headers = read_headers(path)
    keys = canonical_names(headers)
    check_lpips_shapes({name: headers[key][0] for name, key in keys.items()})
    arrays = load_arrays(path, keys.values())
    return {name: np.asarray(arrays[key], np.float32) for name, key in keys.items()}
