"""Weights in PyTorch files, read by PyTorch's loader of nothing but weights. No pickle is run."""

import importlib
import warnings

from pcvae.errors import UserError

TORCH_SUFFIXES = (".th", ".pth", ".pt")
MIN_TORCH = (2, 6)  # before, its loader of weights could be made to run code


def read_torch_state(path, flag="--weights"):
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


def tensor_values(tensor):
    """Returns the values of a tensor as a float32 array."""
    return tensor.detach().float().numpy()
