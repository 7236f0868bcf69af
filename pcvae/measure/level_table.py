"""The architecture of a model as a table: one row a level, and totals."""

from math import prod

from pcvae.tables import text_table

_COLUMNS = ("level", "resolution", "width", "latents", "parameters")


def level_table(model):
    """Returns the table as text: index, resolution, width, latents and parameters of each level.

    Args:
        model: a `VDVAE`, a `ConditionalVDVAE` or a `StagedVAE`. Of the last, a column says the
            stage, levels are counted over all stages (those without latents are not), and totals
            come for each stage and for the whole.
    """
    stages = getattr(model, "stages", None)
    if stages is None:
        return "\n".join([text_table([_COLUMNS, *_rows(model)]), "", *_totals(model)])
    rows, totals = [("stage", *_COLUMNS)], []
    for number, (stage, end) in enumerate(zip(stages, model.stage_ends, strict=True), 1):
        start = end - stage.num_levels
        for index, (level, *cells) in enumerate(_rows(stage)):
            level = str(start + index) if index < stage.num_levels else "-"
            rows.append((str(number), level, *cells))
        totals += ["", f"stage {number}", *_totals(stage)]
    whole = [
        f"levels         {model.num_levels} with latents",
        f"latents        {_num_latents(model):,}",
        f"total          {model.count_params():,} parameters",
    ]
    seen = f"all stages (the later see {model.later_stages_see})"
    return "\n".join([text_table(rows), *totals, "", seen, *whole])


def _rows(model):
    """Returns the cells of each level of one stage."""
    decoder, rows = model.decoder, []
    for group, stack in zip(decoder.groups, decoder.stacks, strict=True):
        side, width = group.resolution, decoder.width_at(group.resolution)
        latents = side * side * decoder.latent_width if decoder.has_latents(group) else 0
        for level in range(group.first_level, group.first_level + group.num_levels):
            cells = (str(width), f"{latents:,}", f"{stack.params_per_level:,}")
            rows.append((str(level), f"{side}x{side}", *cells))
    return rows


def _totals(model):
    """Returns the lines below the levels of one stage; its parts add up to the total."""
    stacks, groups = model.decoder.stacks, model.decoder.groups
    in_levels = sum(
        stack.params_per_level * group.num_levels
        for group, stack in zip(groups, stacks, strict=True)
    )
    parts = {
        "encoder": model.encoder.count_params(),
        "prefix encoder": _num_params(model.prefix_encoder),
        "condition": _num_params(model.condition_encoder),
        "levels": in_levels,
        "head": model.head.count_params(),
        "prefixes": sum(map(_num_params, model.prefix_decoders)),
    }
    parts["biases, gain"] = model.count_params() - sum(parts.values())
    needed = ("encoder", "levels", "biases, gain", "head")
    return [
        f"images         {'x'.join(map(str, model.image_shape))}",
        *([] if model.condition is None else [f"given          {model.condition.in_words}"]),
        f"levels         {model.num_levels} with latents",
        f"latents        {_num_latents(model):,}",
        *(
            f"{name:<14} {parts[name]:,} parameters"
            for name in parts
            if name in needed or parts[name]
        ),
        f"total          {model.count_params():,} parameters",
    ]


def _num_params(layer):
    return 0 if layer is None else layer.count_params()


def _num_latents(model):
    return sum(prod(shape) for shape in model.latent_shapes)
