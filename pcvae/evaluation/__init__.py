"""Numbers and pictures that say how good a hierarchical VAE is."""

from pcvae.evaluation.constraints import constraint_results
from pcvae.evaluation.curves import Line, Panel, curve_plot
from pcvae.evaluation.edits import BELOW, interpolate, lerp, slerp, swap, traverse
from pcvae.evaluation.extractor_files import as_extractor, file_sha256
from pcvae.evaluation.features import FeatureExtractor, collect_features
from pcvae.evaluation.frechet import (
    FeatureStatistics,
    frechet_distance,
    kernel_distance,
    validity,
)
from pcvae.evaluation.grids import (
    captioned_grid,
    conditional_grid,
    displayable,
    image_grid,
    labelled_rows,
    png_bytes,
    prefix_grid,
    prefix_label,
    refit_grid,
    rows_of_conditions,
    save_png,
)
from pcvae.evaluation.health import (
    DEAD_LEVEL_NATS,
    Finding,
    TrainingSeries,
    health_findings,
    health_lines,
    health_summary,
)
from pcvae.evaluation.importance import ImportanceWeightedEvaluation
from pcvae.evaluation.level_rates import level_rows, mean_rate_by_resolution
from pcvae.evaluation.level_table import level_table
from pcvae.evaluation.likelihood import LikelihoodEvaluation, headline, mean_with_error
from pcvae.evaluation.lpips import LPIPS
from pcvae.evaluation.pages import inline_svg, picture, render_page, settings, write_page
from pcvae.evaluation.perceptual import PerceptualEvaluation
from pcvae.evaluation.plots import frechet_plot, rate_by_resolution_plot, rate_distortion_plot
from pcvae.evaluation.progressive import (
    bits_per_pixel_maps,
    progressive_reconstructions,
    progressive_samples,
    rate_map_plot,
    reconstruction_picture,
    sample_picture,
)
from pcvae.evaluation.quantities import QUANTITIES, evaluation_table, measured
from pcvae.evaluation.rate_distortion import rate_by_resolution, rate_distortion_curve
from pcvae.evaluation.single_prefix import single_prefix
from pcvae.evaluation.tables import number_text, text_table

__all__ = [
    "BELOW",
    "DEAD_LEVEL_NATS",
    "FeatureExtractor",
    "FeatureStatistics",
    "Finding",
    "ImportanceWeightedEvaluation",
    "LPIPS",
    "LikelihoodEvaluation",
    "Line",
    "Panel",
    "PerceptualEvaluation",
    "QUANTITIES",
    "TrainingSeries",
    "as_extractor",
    "bits_per_pixel_maps",
    "captioned_grid",
    "collect_features",
    "conditional_grid",
    "constraint_results",
    "curve_plot",
    "displayable",
    "evaluation_table",
    "file_sha256",
    "frechet_distance",
    "frechet_plot",
    "headline",
    "health_findings",
    "health_lines",
    "health_summary",
    "image_grid",
    "inline_svg",
    "interpolate",
    "kernel_distance",
    "labelled_rows",
    "lerp",
    "level_rows",
    "level_table",
    "mean_rate_by_resolution",
    "mean_with_error",
    "measured",
    "number_text",
    "picture",
    "png_bytes",
    "prefix_grid",
    "prefix_label",
    "progressive_reconstructions",
    "progressive_samples",
    "rate_by_resolution",
    "rate_by_resolution_plot",
    "rate_distortion_curve",
    "rate_distortion_plot",
    "rate_map_plot",
    "reconstruction_picture",
    "refit_grid",
    "render_page",
    "rows_of_conditions",
    "sample_picture",
    "save_png",
    "settings",
    "slerp",
    "single_prefix",
    "swap",
    "text_table",
    "traverse",
    "validity",
    "write_page",
]
