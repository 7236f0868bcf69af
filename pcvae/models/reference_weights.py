"""The weights of a VDVAE under the names of the public reference, openai/vdvae.

Every weight of a level is one slice of a stacked weight here and one tensor there.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pcvae.checks import some_names
from pcvae.errors import UserError
from pcvae.layers.cells import VDVAECell
from pcvae.layers.cells.posteriors import ABSOLUTE
from pcvae.models.vdvae import VDVAE

_NAMES_SHOWN = 10
_LEVEL_BLOCKS = {"posterior": "enc", "prior": "prior", "residual": "resnet"}


class WeightSlice(NamedTuple):
    """Where a tensor of the reference lives in the model."""

    variable: object  # keras.Variable
    index: int | None  # index on the leading level axis, or None for the whole variable
    layout: str  # "convolution": OIHW there and HWIO here; "vector"; "map": CHW there, HWC here


def reference_names(model: VDVAE) -> dict[str, WeightSlice]:
    """Returns {name in the reference: `WeightSlice`} for every weight of a `VDVAE`.

    Raises:
        UserError: the model has what the reference has not, such as levels without latents.
    """
    plain = isinstance(model, VDVAE) and model.cell_class is VDVAECell
    plain = plain and model.decoder.posterior == ABSOLUTE
    if not plain or model.condition is not None or model.readouts:
        raise UserError(
            f"the reference is a VDVAE of posterior={ABSOLUTE!r} without a condition and prefix "
            f"decoders, got the {type(model).__name__} {model.name!r}"
        )
    if not all(map(model.decoder.has_latents, model.decoder.groups)):
        raise UserError("the reference has a latent at every level: set num_latent_levels=None")
    slices = {}

    def add_convolution(name, kernel, bias, index=None):
        slices[f"{name}.weight"] = WeightSlice(kernel, index, "convolution")
        slices[f"{name}.bias"] = WeightSlice(bias, index, "vector")

    def add_stack(stack, first, prefix, rename):
        for name in {name.rsplit("_", 1)[0] for name in stack.level_weight_names}:
            kernel = stack.level_weight(f"{name}_kernel")
            bias = stack.level_weight(f"{name}_bias")
            for index in range(stack.count):
                add_convolution(f"{prefix}.{first + index}.{rename(name)}", kernel, bias, index)

    encoder, decoder = model.encoder, model.decoder
    add_convolution("encoder.in_conv", encoder.in_conv.kernel, encoder.in_conv.bias)
    for group, stack in zip(encoder.groups, encoder.stacks, strict=True):
        add_stack(stack, group.first_block, "encoder.enc_blocks", lambda name: name)
    for group, stack in zip(decoder.groups, decoder.stacks, strict=True):
        add_stack(stack, group.first_level, "decoder.dec_blocks", _level_name)
    for index, bias in enumerate(decoder.biases.values()):
        slices[f"decoder.bias_xs.{index}"] = WeightSlice(bias, None, "map")
    slices["decoder.gain"] = WeightSlice(decoder.gain, None, "map")
    slices["decoder.bias"] = WeightSlice(decoder.bias, None, "map")
    projection = model.head.projection
    add_convolution("decoder.out_net.out_conv", projection.kernel, projection.bias)
    return slices


def _level_name(name):
    if name == "latent_projection":
        return "z_proj"
    block, convolution = name.split("_")
    return f"{_LEVEL_BLOCKS[block]}.{convolution}"


def load_reference_weights(model: VDVAE, weights: Mapping[str, Any]) -> None:
    """Loads the weights of a reference checkpoint by name.

    Args:
        model: a `VDVAE` of the same layer strings and widths.
        weights: {name in the reference: array in its layout}.

    Raises:
        UserError: names are missing or left over, a shape differs, or a tensor holds other things
            than finite numbers; nothing is loaded then.
    """
    arrays = {name: np.asarray(values) for name, values in weights.items()}
    check_reference_shapes(model, {name: array.shape for name, array in arrays.items()})
    no_numbers = [
        name
        for name, array in arrays.items()
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all()
    ]
    if no_numbers:
        names = some_names(sorted(no_numbers), _NAMES_SHOWN)
        raise UserError(f"reference weights: expected finite numbers in {names}")
    stacked = {}
    for name, (variable, index, layout) in reference_names(model).items():
        value = _from_reference(arrays[name], layout)
        if index is None:
            variable.assign(value.reshape(variable.shape))
        else:
            _, levels = stacked.setdefault(id(variable), (variable, {}))
            levels[index] = value
    for variable, levels in stacked.values():
        variable.assign(np.stack([levels[index] for index in range(len(levels))]))


def check_reference_shapes(model: VDVAE, shapes: Mapping[str, Any]) -> None:
    """Compares the names and shapes of a reference checkpoint with those that a model needs.

    Args:
        model: a `VDVAE`.
        shapes: {name in the reference: shape in its layout}.

    Raises:
        UserError: which names what is missing, what is left over, and what has another shape.
    """
    expected = {name: _reference_shape(part) for name, part in reference_names(model).items()}
    problems = {
        "missing": [name for name in expected if name not in shapes],
        "unexpected": [name for name in shapes if name not in expected],
        "of another shape": [
            f"{name} {list(shapes[name])} instead of {list(shape)}"
            for name, shape in expected.items()
            if name in shapes and tuple(shapes[name]) != shape
        ],
    }
    parts = [
        f"{len(names)} {what}: {some_names(sorted(names), _NAMES_SHOWN)}"
        for what, names in problems.items()
        if names
    ]
    if parts:
        raise UserError(f"reference weights do not fit the model; {'; '.join(parts)}")


def _reference_shape(part):
    """Returns the shape that a weight has in the reference."""
    shape = tuple(part.variable.shape if part.index is None else part.variable.shape[1:])
    if part.layout == "convolution":
        height, width, channels, filters = shape
        return filters, channels, height, width
    if part.layout == "map":
        return 1, shape[-1], *(shape[:-1] or (1, 1))
    return shape


def _from_reference(value, layout):
    if layout == "convolution":
        return value.transpose(2, 3, 1, 0)
    if layout == "map":
        return value[0].transpose(1, 2, 0)
    return value
