"""Numbers and pictures that say how good a hierarchical VAE is."""

from pcvae.evaluation.constraints import constraint_results
from pcvae.evaluation.edits import interpolate, lerp, slerp, swap, traverse
from pcvae.evaluation.extractor_files import as_extractor, file_sha256
from pcvae.evaluation.features import FeatureExtractor, collect_features
from pcvae.evaluation.frechet import (
    FeatureStatistics,
    frechet_distance,
    kernel_distance,
    validity,
)
from pcvae.evaluation.grids import (
    conditional_grid,
    displayable,
    image_grid,
    labelled_rows,
    prefix_grid,
    prefix_label,
    refit_grid,
    save_png,
)
from pcvae.evaluation.importance import ImportanceWeightedEvaluation
from pcvae.evaluation.level_table import level_table
from pcvae.evaluation.likelihood import LikelihoodEvaluation, headline
from pcvae.evaluation.plots import frechet_plot, rate_by_resolution_plot, rate_distortion_plot
from pcvae.evaluation.rate_distortion import rate_by_resolution, rate_distortion_curve

__all__ = [
    "FeatureExtractor",
    "FeatureStatistics",
    "ImportanceWeightedEvaluation",
    "LikelihoodEvaluation",
    "as_extractor",
    "collect_features",
    "conditional_grid",
    "constraint_results",
    "file_sha256",
    "frechet_distance",
    "frechet_plot",
    "headline",
    "displayable",
    "image_grid",
    "kernel_distance",
    "interpolate",
    "labelled_rows",
    "lerp",
    "prefix_label",
    "level_table",
    "prefix_grid",
    "rate_by_resolution",
    "rate_by_resolution_plot",
    "rate_distortion_curve",
    "rate_distortion_plot",
    "refit_grid",
    "save_png",
    "slerp",
    "swap",
    "traverse",
    "validity",
]
