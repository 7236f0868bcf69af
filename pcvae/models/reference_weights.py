"""The weights of a VDVAE under the names of the public reference, openai/vdvae.

Every weight of a level is one slice of a stacked weight here and one tensor there.
"""

from typing import NamedTuple

import numpy as np

from pcvae.errors import UserError

_LEVEL_BLOCKS = {"posterior": "enc", "prior": "prior", "residual": "resnet"}


class WeightSlice(NamedTuple):
    """Where a tensor of the reference lives in the model."""

    variable: object  # keras.Variable
    index: int | None  # index on the leading level axis, or None for the whole variable
    layout: str  # "convolution": OIHW there and HWIO here; "vector"; "map": CHW there, HWC here


def reference_names(model):
    """Returns {name in the reference: `WeightSlice`} for every weight of a `VDVAE`.

    Raises:
        UserError: the model has what the reference has not: levels without latents.
    """
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


def load_reference_weights(model, weights):
    """Loads the weights of a reference checkpoint by name.

    Args:
        model: a `VDVAE` of the same layer strings and widths.
        weights: {name in the reference: array in its layout}.

    Raises:
        UserError: names are missing or left over, or a shape differs; nothing is loaded then.
    """
    slices = reference_names(model)
    values = {}
    problems = [f"missing {name}" for name in slices if name not in weights]
    problems += [f"unexpected {name}" for name in weights if name not in slices]
    for name in slices.keys() & weights.keys():
        variable, index, layout = slices[name]
        value = _from_reference(np.asarray(weights[name]), layout)
        expected = tuple(variable.shape if index is None else variable.shape[1:])
        if _squeezed(value.shape) == _squeezed(expected):
            values[name] = value.reshape(expected)
        else:
            problems.append(f"{name} has shape {value.shape}, expected {expected}")
    if problems:
        raise UserError(
            f"reference weights do not fit the model ({len(problems)} problems): "
            + "; ".join(sorted(problems)[:8])
        )
    stacked = {}
    for name, value in values.items():
        variable, index, _ = slices[name]
        if index is None:
            variable.assign(value)
        else:
            _, levels = stacked.setdefault(id(variable), (variable, {}))
            levels[index] = value
    for variable, levels in stacked.values():
        variable.assign(np.stack([levels[index] for index in range(len(levels))]))


def _from_reference(value, layout):
    if layout == "convolution":
        return value.transpose(2, 3, 1, 0)
    if layout == "map":
        return value[0].transpose(1, 2, 0)
    return value


def _squeezed(shape):
    return tuple(size for size in shape if size != 1)
