"""Weights by name, in PyTorch files or ``.npz``.

PyTorch's files are read by its loader of nothing but weights. No pickle is run.
"""

import importlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pcvae.data.numpy_files import load_arrays, read_headers
from pcvae.errors import UserError

SUFFIXES = (".th", ".pth", ".pt", ".npz")
MIN_TORCH = (2, 6)  # before, its loader of weights could be made to run code


def read_torch_state(path: Path, flag: str = "--weights") -> dict[str, Any]:
    """Returns a state dict, {name: tensor}, by the loader of tensors and plain containers only.

    Args:
        path: a file that PyTorch has saved.
        flag: what the user named it by, for errors.

    Raises:
        UserError: PyTorch is missing or too old, or the file holds something else.
    """
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise UserError(
            f"{flag}={path}: reading it takes PyTorch ({error}): pip install 'pcvae[import]', "
            "or save its tensors by name as .npz elsewhere"
        ) from error
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < MIN_TORCH:
        raise UserError(
            f"PyTorch {torch.__version__}: expected 2.6 or newer, whose loader of weights is safe: "
            "pip install 'pcvae[import]'"
        )
    try:
        with warnings.catch_warnings():  # of foreign pickles, before they are refused
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    # Pickled code is an UnpicklingError; damaged files come as nearly anything.
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"{flag}={path}: PyTorch reads no weights from it, and nothing else is read: "
            f"{reason[0].partition('. ')[0]}"
        ) from error
    if not isinstance(state, dict) or not all(map(torch.is_tensor, state.values())):
        raise UserError(
            f"{flag}={path}: expected a state dict, names and tensors, got {type(state).__name__}"
        )
    return {str(name): tensor for name, tensor in state.items()}


def check_weight_file(path: Path, flag: str) -> None:
    """Raises UserError unless a path is a PyTorch file or an ``.npz`` that is there."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{flag}={path}: expected a file in {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise UserError(f"{flag}={path}: there is no such file")


def read_weights(
    path: Path, flag: str, names_of: Callable, check: Callable | None = None
) -> dict[str, np.ndarray]:
    """Returns {name: array} of a PyTorch file or an ``.npz``.

    Args:
        path: a `pathlib.Path`.
        flag: what the user named it by, for errors.
        names_of: called with the names in the file; returns {name: its name in the file}.
        check: called with {name: shape} before any values are read, or None.

    Raises:
        UserError: the file is no such one, or damaged; or the check fails.
    """
    check_weight_file(path, flag)
    in_numpy = path.suffix.lower() == ".npz"
    if in_numpy:
        headers = read_headers(path)
        shapes = {name: shape for name, (shape, _) in headers.items()}
    else:
        state = read_torch_state(path, flag)
        shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    keys = names_of(shapes)
    if check:
        check({name: shapes[key] for name, key in keys.items()})
    if in_numpy:
        arrays = load_arrays(path, {key: headers[key] for key in keys.values()})
        return {name: arrays[key] for name, key in keys.items()}
    return {name: state[key].detach().float().numpy() for name, key in keys.items()}
