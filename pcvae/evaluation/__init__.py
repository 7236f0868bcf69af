"""Numbers and pictures that say how good a hierarchical VAE is."""

from pcvae.evaluation.grids import image_grid, labelled_rows, prefix_grid, save_png
from pcvae.evaluation.level_table import level_table
from pcvae.evaluation.likelihood import LikelihoodEvaluation, headline

__all__ = [
    "LikelihoodEvaluation",
    "headline",
    "image_grid",
    "labelled_rows",
    "level_table",
    "prefix_grid",
    "save_png",
]
