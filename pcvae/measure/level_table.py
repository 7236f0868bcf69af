"""The architecture of a model as a table: one row per level, and totals."""

import itertools
from math import prod

from pcvae.models.base import HierarchicalModel
from pcvae.quantities import MANY_LEVELS, UPPER_BOUNDS
from pcvae.tables import text_table

_COLUMNS = ("level", "resolution", "width", "latents", "parameters")


def level_table(model: HierarchicalModel) -> str:
    """Returns the table as text: index, resolution, width, latents and parameters of each level.

    Of 100 levels or more those that are equal and follow each other share a row.

    Args:
        model: a `HierarchicalModel`. Of one of several stages a column says the
            stage, levels are counted over all stages (those without latents are not), and totals
            come for each stage and for the whole.
    """
    stages = model.describe()
    notes = [] if model.rates_of_prefixes_are_exact else ["", UPPER_BOUNDS]
    if len(stages) == 1:
        table = text_table([_COLUMNS, *_rows(stages[0])])
        return "\n".join([table, "", *_totals(stages[0]), *notes])
    rows, totals = [("stage", *_COLUMNS)], []
    for number, (stage, end) in enumerate(zip(stages, model.stage_ends, strict=True), 1):
        start = end - stage.num_levels
        rows += [(str(number), *cells) for cells in _rows(stage, start)]
        totals += ["", f"stage {number}", *_totals(stage)]
    whole = [
        f"levels         {model.num_levels} with latents",
        f"latents        {sum(map(prod, model.latent_shapes)):,}",
        f"total          {model.count_params():,} parameters",
    ]
    seen = f"all stages (the later see {model.later_stages_see})"
    return "\n".join([text_table(rows), *totals, "", seen, *whole, *notes])


def _rows(stage, start=None):
    """Returns the cells of each level of one stage, or of each run of equal ones.

    Args:
        stage: its description.
        start: number of levels before it, of one among several; its levels without latents then
            have no number.
    """
    indices = range(len(stage.rows))
    key = stage.rows.__getitem__ if len(indices) >= MANY_LEVELS else lambda index: index
    rows = []
    for _, equal in itertools.groupby(indices, key):
        run = list(equal)
        first, last = run[0], run[-1]
        row, before = stage.rows[first], start or 0
        level = str(before + first) if first == last else f"{before + first}-{before + last}"
        rows.append(
            (
                level if start is None or first < stage.num_levels else "-",
                f"{row.resolution}x{row.resolution}",
                str(row.width),
                f"{row.num_latents:,}",
                f"{row.num_params:,}",
            )
        )
    return rows


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
