"""The architecture of a model as a table: one row per level, and totals."""

from math import prod

from pcvae.models.base import HierarchicalModel
from pcvae.tables import text_table

_COLUMNS = ("level", "resolution", "width", "latents", "parameters")


def level_table(model: HierarchicalModel) -> str:
    """Returns the table as text: index, resolution, width, latents and parameters of each level.

    Args:
        model: a `HierarchicalModel`. Of one of several stages a column says the
            stage, levels are counted over all stages (those without latents are not), and totals
            come for each stage and for the whole.
    """
    stages = model.describe()
    if len(stages) == 1:
        return "\n".join([text_table([_COLUMNS, *_rows(stages[0])]), "", *_totals(stages[0])])
    rows, totals = [("stage", *_COLUMNS)], []
    for number, (stage, end) in enumerate(zip(stages, model.stage_ends, strict=True), 1):
        start = end - stage.num_levels
        for index, (level, *cells) in enumerate(_rows(stage)):
            level = str(start + index) if index < stage.num_levels else "-"
            rows.append((str(number), level, *cells))
        totals += ["", f"stage {number}", *_totals(stage)]
    whole = [
        f"levels         {model.num_levels} with latents",
        f"latents        {sum(map(prod, model.latent_shapes)):,}",
        f"total          {model.count_params():,} parameters",
    ]
    seen = f"all stages (the later see {model.later_stages_see})"
    return "\n".join([text_table(rows), *totals, "", seen, *whole])


def _rows(stage):
    """Returns the cells of each level of one stage."""
    return [
        (
            str(level),
            f"{row.resolution}x{row.resolution}",
            str(row.width),
            f"{row.num_latents:,}",
            f"{row.num_params:,}",
        )
        for level, row in enumerate(stage.rows)
    ]


def _totals(stage):
    """Returns the lines below the levels of one stage; its parts add up to the total."""
    condition, parts = stage.condition, stage.num_params
    return [
        f"images         {'x'.join(map(str, stage.image_shape))}",
        *([] if condition is None else [f"given          {condition.in_words}"]),
        f"levels         {stage.num_levels} with latents",
        f"latents        {sum(row.num_latents for row in stage.rows):,}",
        *(f"{name:<14} {count:,} parameters" for name, count in parts.items()),
        f"total          {sum(parts.values()):,} parameters",
    ]
