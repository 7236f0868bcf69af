"""The architecture of a model as a table: one row a level, and totals."""


def level_table(model):
    """Returns the table as text: index, resolution, width, latents and parameters of each level.

    Args:
        model: a `VDVAE`.
    """
    decoder = model.decoder
    rows = [("level", "resolution", "width", "latents", "parameters")]
    total_latents = total_in_levels = 0
    for group, stack in zip(decoder.groups, decoder.stacks, strict=True):
        side, width = group.resolution, decoder.width_at(group.resolution)
        latents = side * side * decoder.latent_width if decoder.has_latents(group) else 0
        for level in range(group.first_level, group.first_level + group.num_levels):
            parameters = stack.params_per_level
            rows.append(
                (str(level), f"{side}x{side}", str(width), f"{latents:,}", f"{parameters:,}")
            )
            total_latents += latents
            total_in_levels += parameters
    total = model.count_params()
    encoder, head = model.encoder.count_params(), model.head.count_params()
    for_prefixes = sum(decoder.count_params() for decoder in model.prefix_decoders)
    others = total - encoder - head - total_in_levels - for_prefixes
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
        for row in rows
    ]
    shape = "x".join(map(str, model.image_shape))
    return "\n".join(
        [
            *lines,
            "",
            f"images         {shape}",
            f"levels         {model.num_levels} with latents",
            f"latents        {total_latents:,}",
            f"encoder        {encoder:,} parameters",
            f"levels         {total_in_levels:,} parameters",
            f"biases, gain   {others:,} parameters",
            f"head           {head:,} parameters",
            *([f"prefixes       {for_prefixes:,} parameters"] if for_prefixes else []),
            f"total          {total:,} parameters",
        ]
    )
