"""The weights of LPIPS: read from a file, and converted into one from the published files."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from pcvae import measure
from pcvae.errors import UserError
from pcvae.files import write_arrays
from pcvae.measure.lpips import canonical_names, check_lpips_shapes, lpips_from_arrays
from pcvae.runs.weight_files import read_weights


def import_lpips(
    *, backbone: str | os.PathLike, lins: str | os.PathLike, output: str | os.PathLike
) -> None:
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
        found = read_weights(Path(path), flag, canonical_names)
        arrays |= {
            name: np.asarray(array, np.float32)
            for name, array in found.items()
            if name.startswith(kind)
        }
    network, _ = check_lpips_shapes({name: array.shape for name, array in arrays.items()})
    output = Path(output)
    write_arrays(output, **arrays)
    print(
        f"LPIPS with {network}, sha256 {measure.file_sha256(output)}",
        f"wrote {output}",
        sep="\n",
    )


def read_lpips(path: str | os.PathLike) -> tuple[measure.LPIPS, dict[str, Any]]:
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
    arrays = read_weights(path, "--lpips_weights", canonical_names, check_lpips_shapes)
    model = lpips_from_arrays(
        {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    )
    protocol = {"network": model.network, "version": "0.1", "weights": path.name}
    return model, {**protocol, "sha256": measure.file_sha256(path)}
