"""Numbers and pictures that say how good a hierarchical VAE is."""

from pcvae.evaluation.grids import image_grid, labelled_rows, prefix_grid, save_png
from pcvae.evaluation.likelihood import LikelihoodEvaluation

__all__ = ["LikelihoodEvaluation", "image_grid", "labelled_rows", "prefix_grid", "save_png"]
